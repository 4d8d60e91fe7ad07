/*
 * From runs of clusters to the cells of a picture.
 *
 * Runs come in the order of the file, so only the current cell is kept. Equal neighbouring cells are reported together:
 * a run costs the same whatever its length.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_MAP_CELLS_H
#define UI_MAP_CELLS_H

#include "block/cluster-roles.h"
#include "ui/map/layout.h"

typedef struct MapImage {
    uint64_t cluster_size;  /* bytes, at least 1 */
    uint64_t file_length;   /* bytes; runs beyond it are ignored */
    const char *caption[3]; /* printable ASCII, borrowed; NULL from the first line on that there is not */

    /* Sets *@run to the next run, in the order of the file; false at the end. Clusters between runs are free. */
    bool (*next_run)(void *opaque, ClusterRun *run);
    void *opaque;
} MapImage;

/* Few enough steps for a palette of 256 colours. */
#define MAP_FILL_ALL 16

/* The worst fault in a cell. */
typedef enum MapMark {
    MAP_MARK_NONE,
    MAP_MARK_LEAK,
    MAP_MARK_KEPT, /* a leak that may be the last copy of something */
    MAP_MARK_DAMAGE,
} MapMark;

typedef struct MapCell {
    ClusterRole role; /* the role of most clusters in use; of equals, the first in ClusterRole */
    uint8_t fill;     /* the part of clusters in use: 0 none, MAP_FILL_ALL all; at least 1 if any is */
    MapMark mark;     /* set even if one cluster of very many is faulty */
} MapCell;

typedef struct MapTotals {
    uint64_t clusters[CLUSTER_ROLE__MAX]; /* of the file, by role; their sum is the file */
    uint64_t kept;                        /* leaked clusters that may be the last copy of something */
    uint64_t damaged;                     /* clusters that a corruption concerns, of any role */
} MapTotals;

/* Takes @n cells from @first on that are equal to @cell. All cells of the layout come once, in order. */
typedef void MapCellsSeen(void *opaque, uint32_t first, uint32_t n, const MapCell *cell);

/* Calls @seen for all cells of @image, and sums up its clusters in @totals. */
void map_cells(const MapLayout *layout, const MapImage *image, MapCellsSeen *seen, void *opaque, MapTotals *totals);

#endif
