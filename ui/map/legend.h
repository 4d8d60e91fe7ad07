/*
 * The legend below a picture: the caption, the size of the file and of a cell, and each role with its colour and bytes.
 *
 * It has no name from within the image, so that a picture can be shown to whoever may see the name of the file.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_MAP_LEGEND_H
#define UI_MAP_LEGEND_H

#include "ui/map/canvas.h"
#include "ui/map/cells.h"

#define MAP_LEGEND_WIDTH_LEAST 680 /* pixels */

/* Returns the greatest height of a legend of @width, in pixels. */
int map_legend_height(int width);

/* Draws the legend, and returns its height in pixels. */
int map_legend_draw(MapCanvas *canvas, int x, int y, int width, const MapLayout *layout, const MapImage *image,
                    const MapTotals *totals);

#endif
