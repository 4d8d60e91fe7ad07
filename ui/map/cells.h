/*
 * From runs of clusters to cells of a picture: what each cell is to look like.
 *
 * Runs come in the order of the file, so nothing but the cell in which they are just now has to be remembered. Cells of
 * one look that follow one another are given on together: a run costs the same whatever its length.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_MAP_CELLS_H
#define UI_MAP_CELLS_H

#include "block/cluster-roles.h"
#include "ui/map/layout.h"

typedef struct MapImage {
    uint64_t cluster_size; /* bytes, at least 1 */
    uint64_t file_length;  /* bytes; runs beyond it are ignored */

    /* Sets *@run to the next run, in the order of the file; false at the end. Clusters between runs are free. */
    bool (*next_run)(void *opaque, ClusterRun *run);
    void *opaque;
} MapImage;

/* So few steps that a palette has room for them in all colours. */
#define MAP_FILL_ALL 16

/* What is wrong with a cell, the worst of it. */
typedef enum MapMark {
    MAP_MARK_NONE,
    MAP_MARK_LEAK,
    MAP_MARK_DAMAGE,
} MapMark;

typedef struct MapCell {
    ClusterRole role; /* that most of its clusters in use have; of two alike, the first in ClusterRole */
    uint8_t fill;     /* how many of its clusters are in use: 0 none, MAP_FILL_ALL all, at least 1 if there is one */
    MapMark mark;     /* set also if one of very many clusters has it */
} MapCell;

typedef struct MapTotals {
    uint64_t clusters[CLUSTER_ROLE__MAX]; /* of the file, by role; their sum is the file */
    uint64_t damaged;                     /* clusters that a corruption concerns, whatever their role */
} MapTotals;

/* Is told of @n cells from @first on that look like @cell. All cells of the layout come once, in their order. */
typedef void MapCellsSeen(void *opaque, uint32_t first, uint32_t n, const MapCell *cell);

void map_cells(const MapLayout *layout, const MapImage *image, MapCellsSeen *seen, void *opaque, MapTotals *totals);

#endif
