/*
 * The layout of a picture: see ui/map/layout.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/map/layout.h"

#include <glib.h>

#include "util/number.h"

/* The part of the square that the curve reaches; that may be little more than a half or a quarter of it. */
static void find_extent(MapLayout *layout)
{
    uint32_t first = 0;

    layout->columns = layout->rows = 1;
    while (first < layout->cells) {
        MapBlock block;

        first += map_curve_block(layout->curve, layout->order, first, layout->cells - first, &block);
        layout->columns = MAX(layout->columns, block.x + block.width);
        layout->rows = MAX(layout->rows, block.y + block.height);
    }
}

MapLayout map_layout(MapCurve curve, uint64_t clusters)
{
    MapLayout layout = {.curve = curve, .clusters = clusters, .clusters_per_cell = 1};

    while (DIV_ROUND_UP(clusters, layout.clusters_per_cell) > (uint64_t)MAP_SIDE_MAX * MAP_SIDE_MAX) {
        layout.clusters_per_cell <<= 1;
    }
    layout.cells = (uint32_t)DIV_ROUND_UP(clusters, layout.clusters_per_cell);
    while (1u << (2 * layout.order) < layout.cells) {
        layout.order++;
    }
    find_extent(&layout);
    layout.cell = MIN(MAP_SIDE_MAX / MAX(layout.columns, layout.rows), MAP_CELL_MAX);
    return layout;
}
