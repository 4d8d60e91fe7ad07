/*
 * The picture of an image file: see ui/map/draw.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/map/draw.h"

#include "ui/map/legend.h"
#include "ui/map/paint.h"
#include "ui/map/palette.h"
#include "ui/map/png.h"
#include "util/number.h"

#define MARGIN 24 /* pixels, around the cells and the legend */

bool map_draw(const MapImage *image, MapCurve curve, FILE *out, GError **errp)
{
    MapLayout layout = map_layout(curve, DIV_ROUND_UP(image->length, image->cluster_size));
    int cells_width = (int)(layout.columns * layout.cell);
    int legend_y = 2 * MARGIN + (int)(layout.rows * layout.cell);
    int width = MAX(cells_width, MAP_LEGEND_WIDTH_LEAST);
    g_autoptr(MapCanvas) canvas =
        map_canvas_new(width + 2 * MARGIN, legend_y + map_legend_height(width) + MARGIN, ROLE_COLOUR_PAPER);
    MapTotals totals;
    int height;

    if (!canvas) {
        g_set_error_literal(errp, G_FILE_ERROR, G_FILE_ERROR_NOMEM, "Could not make the picture: no memory");
        return false;
    }
    map_paint(canvas, MARGIN, MARGIN, &layout, image, &totals);
    height = legend_y + map_legend_draw(canvas, MARGIN, legend_y, width, &layout, image, &totals) + MARGIN;
    return map_png_write(canvas, MIN(height, map_canvas_height(canvas)), out, errp);
}
