/*
 * The layout of a picture: see ui/map-layout.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/map-layout.h"

#include "util/number.h"

/* Half of a Hilbert curve fills the upper half of its square. */
static uint32_t rows_reached(MapCurve curve, unsigned order, uint32_t cells)
{
    uint32_t side = 1u << order;
    uint32_t rows = MAX(DIV_ROUND_UP(cells, side), 1);

    if (curve == MAP_CURVE_LINEAR) {
        return rows;
    }
    return rows <= side / 2 ? side / 2 : side;
}

MapLayout map_layout(MapCurve curve, uint64_t clusters)
{
    MapLayout layout = {.curve = curve, .clusters = clusters, .clusters_per_cell = 1};

    while (DIV_ROUND_UP(clusters, layout.clusters_per_cell) > MAP_SIDE_MAX * MAP_SIDE_MAX) {
        layout.clusters_per_cell <<= 1;
    }
    layout.cells = (uint32_t)DIV_ROUND_UP(clusters, layout.clusters_per_cell);
    while (1u << (2 * layout.order) < layout.cells) {
        layout.order++;
    }
    layout.columns = 1u << layout.order;
    layout.rows = rows_reached(curve, layout.order, layout.cells);
    layout.cell = MIN(MAP_SIDE_MAX >> layout.order, MAP_CELL_MAX);
    return layout;
}
