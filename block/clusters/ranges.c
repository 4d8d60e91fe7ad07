/*
 * Ranges of clusters.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/clusters/ranges.h"

#include "util/search.h"

void qcow2_cluster_ranges_sort(GArray *ranges)
{
    guint kept = 0;

    ARRAY_SORT(ranges, Qcow2ClusterRange, first);
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
    size_t behind = FIRST_NOT_BELOW(ranges, n, Qcow2ClusterRange, first, cluster + 1);

    return behind && ranges[behind - 1].first + ranges[behind - 1].n > cluster ? behind - 1 : behind;
}

const Qcow2ClusterRange *qcow2_cluster_ranges_with(const GArray *ranges, uint64_t cluster)
{
    size_t i = qcow2_cluster_ranges_find((const Qcow2ClusterRange *)(void *)ranges->data, ranges->len, cluster);

    if (i == ranges->len || g_array_index(ranges, Qcow2ClusterRange, i).first > cluster) {
        return NULL;
    }
    return &g_array_index(ranges, Qcow2ClusterRange, i);
}
