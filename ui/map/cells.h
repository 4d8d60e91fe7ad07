/*
 * From runs of clusters to the cells of a picture.
 *
 * Runs come in order, so only the current cell is kept. Equal neighbouring cells are reported together:
 * a run costs the same whatever its length.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_MAP_CELLS_H
#define UI_MAP_CELLS_H

#include "block/cluster-roles.h"
#include "ui/map/layout.h"

/* What the picture is of: the image file, or the guest's disk. */
typedef struct MapImage {
    bool guest;             /* it is the disk: free clusters are those without data in the file */
    uint64_t cluster_size;  /* bytes, at least 1 */
    uint64_t length;        /* bytes; runs beyond it are ignored */
    uint64_t step;          /* above 1: of the disk's clusters one in so many was looked at */
    const char *caption[3]; /* printable ASCII, borrowed; NULL from the first line on that there is not */

    /* Clusters before which there is a seam, in ascending order; borrowed. Shown where each cluster has its own cell.
     */
    const uint64_t *seams;
    size_t n_seams;

    /* Sets *@run to the next run, in order; false at the end. Clusters between runs are free. */
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
    bool seam;        /* before the first of cells that are given on together; a cell is one cluster then */
} MapCell;

typedef struct MapTotals {
    uint64_t clusters[CLUSTER_ROLE__MAX]; /* by role; their sum is all of them */
    uint64_t kept;                        /* leaked clusters that may be the last copy of something */
    uint64_t damaged;                     /* clusters that a corruption concerns, of any role */
} MapTotals;

/* Takes @n cells from @first on that are equal to @cell. All cells of the layout come once, in order. */
typedef void MapCellsSeen(void *opaque, uint32_t first, uint32_t n, const MapCell *cell);

/* Calls @seen for all cells of @image, and sums up its clusters in @totals. */
void map_cells(const MapLayout *layout, const MapImage *image, MapCellsSeen *seen, void *opaque, MapTotals *totals);

#endif
