/*
 * Ranges of clusters.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_CLUSTER_RANGES_H
#define BLOCK_CLUSTER_RANGES_H

#include <glib.h>
#include <stdint.h>

/* Clusters [first, first + n). */
typedef struct Qcow2ClusterRange {
    uint64_t first;
    uint64_t n;
} Qcow2ClusterRange;

/* Puts @ranges, an array of Qcow2ClusterRange, in order, and those that touch into one: they are disjoint then. */
void qcow2_cluster_ranges_sort(GArray *ranges);

#endif
