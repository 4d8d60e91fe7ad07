/*
 * Ranges of clusters.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_CLUSTERS_RANGES_H
#define BLOCK_CLUSTERS_RANGES_H

#include <glib.h>
#include <stdint.h>

/* Clusters [first, first + n). */
typedef struct Qcow2ClusterRange {
    uint64_t first;
    uint64_t n;
} Qcow2ClusterRange;

/* Puts @ranges, an array of Qcow2ClusterRange, in order, and those that touch into one: they are disjoint then. */
void qcow2_cluster_ranges_sort(GArray *ranges);

/* The index of the first of @n ranges, sorted and disjoint, that ends behind @cluster, or @n. */
size_t qcow2_cluster_ranges_find(const Qcow2ClusterRange *ranges, size_t n, uint64_t cluster);

/* The range of @ranges, as above, that has @cluster; NULL where none has. */
const Qcow2ClusterRange *qcow2_cluster_ranges_with(const GArray *ranges, uint64_t cluster);

#endif
