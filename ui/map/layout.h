/*
 * The layout of a picture: the number of clusters in a cell, and the size of a cell.
 *
 * A cell is one cluster if MAP_SIDE_MAX by MAP_SIDE_MAX cells are enough for the file, else a power of two of clusters.
 * Cells are as large as the width of the picture allows.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_MAP_LAYOUT_H
#define UI_MAP_LAYOUT_H

#include <stdbool.h>

#include "ui/map/curve.h"

#define MAP_SIDE_MAX  1024u /* cells, and pixels */
#define MAP_CELL_MAX  128u  /* pixels */
#define MAP_FINE      16u   /* pixels; cells below this have no room for gaps and patterns */
#define MAP_SEAM_FROM 4     /* pixels; cells below this have no room for a seam at their edge, and are darker instead */

typedef struct MapLayout {
    MapCurve curve;
    unsigned order;
    uint64_t clusters;          /* of the file or disk */
    uint64_t clusters_per_cell; /* a power of two */
    uint32_t cells;             /* in use; the last one may stand for fewer clusters */
    uint32_t columns, rows;     /* cells that are shown: the part of the square that the curve reaches */
    uint32_t cell;              /* pixels, width and height */
} MapLayout;

/* Returns true if a cell of a picture of @clusters is a cluster: else no seams are shown. */
static inline bool map_shows_seams(uint64_t clusters)
{
    return clusters <= (uint64_t)MAP_SIDE_MAX * MAP_SIDE_MAX;
}

/* Returns the layout of a file of @clusters, any number. An empty file has one cell, which is not in use. */
MapLayout map_layout(MapCurve curve, uint64_t clusters);

#endif
