/*
 * Ranges of clusters.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/clusters/ranges.h"

static int compare_ranges(const void *a, const void *b)
{
    const Qcow2ClusterRange *x = a, *y = b;

    return (x->first > y->first) - (x->first < y->first);
}

void qcow2_cluster_ranges_sort(GArray *ranges)
{
    guint kept = 0;

    g_array_sort(ranges, compare_ranges);
    for (guint i = 0; i < ranges->len; i++) {
        Qcow2ClusterRange range = g_array_index(ranges, Qcow2ClusterRange, i);
        Qcow2ClusterRange *last = kept ? &g_array_index(ranges, Qcow2ClusterRange, kept - 1) : NULL;

        if (last && range.first <= last->first + last->n) {
            last->n = MAX(last->first + last->n, range.first + range.n) - last->first;
        } else {
            g_array_index(ranges, Qcow2ClusterRange, kept++) = range;
        }
    }
    g_array_set_size(ranges, kept);
}

size_t qcow2_cluster_ranges_find(const Qcow2ClusterRange *ranges, size_t n, uint64_t cluster)
{
    size_t low = 0;

    while (low < n) {
        size_t middle = low + (n - low) / 2;

        if (ranges[middle].first + ranges[middle].n <= cluster) {
            low = middle + 1;
        } else {
            n = middle;
        }
    }
    return low;
}

const Qcow2ClusterRange *qcow2_cluster_ranges_with(const GArray *ranges, uint64_t cluster)
{
    size_t i = qcow2_cluster_ranges_find((const Qcow2ClusterRange *)(void *)ranges->data, ranges->len, cluster);

    if (i == ranges->len || g_array_index(ranges, Qcow2ClusterRange, i).first > cluster) {
        return NULL;
    }
    return &g_array_index(ranges, Qcow2ClusterRange, i);
}
