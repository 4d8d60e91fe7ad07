/*
 * Ranges of clusters in which something is wrong, for cutting runs at their ends.
 *
 * Memory: 16 bytes for each range that was added. Not thread-safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_MAP_RANGES_H
#define UI_MAP_RANGES_H

#include <glib.h>
#include <stdbool.h>

#include "block/cluster-roles.h"

/* A new one is all zeros. */
typedef struct MapRanges {
    GArray *array; /* NULL: there is none; else in order once map_ranges_sort() was called; they may overlap */
    guint next;    /* the first that may not be behind us */
} MapRanges;

/*
 * Adds the clusters of @cluster_size bytes in which the @size bytes from @offset on lie. Passes over what begins at
 * @clusters or behind that. Offset and size may be any.
 */
void map_ranges_add(MapRanges *ranges, uint64_t clusters, uint64_t cluster_size, uint64_t offset, uint64_t size);

/* Puts them in order, when all are added. */
void map_ranges_sort(MapRanges *ranges);

/*
 * Shortens @run so that it lies wholly in one of the ranges, which gives true, or in none. Runs come in order, and do
 * not overlap.
 */
bool map_ranges_cut(MapRanges *ranges, ClusterRun *run);

void map_ranges_clear(MapRanges *ranges);

#endif
