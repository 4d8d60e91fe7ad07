/*
 * Ranges of clusters: see ui/map/ranges.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/map/ranges.h"

#include "util/number.h"
#include "util/search.h"

typedef struct Range {
    uint64_t first, end; /* clusters */
} Range;

void map_ranges_add(MapRanges *ranges, uint64_t clusters, uint64_t cluster_size, uint64_t offset, uint64_t size)
{
    Range range = {.first = offset / cluster_size};
    uint64_t last;

    if (size == 0 || range.first >= clusters) {
        return;
    }
    range.end = add_u64(offset, size - 1, &last) ? last / cluster_size + 1 : UINT64_MAX;
    ranges->array = ranges->array ? ranges->array : g_array_new(FALSE, FALSE, sizeof(Range));
    g_array_append_val(ranges->array, range);
}

void map_ranges_sort(MapRanges *ranges)
{
    if (ranges->array) {
        ARRAY_SORT(ranges->array, Range, first);
    }
}

/* The first range that ends behind @cluster. A range that is passed is not looked at again, since those behind it begin
 * no earlier. */
static const Range *next_range(MapRanges *ranges, uint64_t cluster)
{
    guint n = ranges->array ? ranges->array->len : 0;

    while (ranges->next < n && g_array_index(ranges->array, Range, ranges->next).end <= cluster) {
        ranges->next++;
    }
    return ranges->next < n ? &g_array_index(ranges->array, Range, ranges->next) : NULL;
}

bool map_ranges_cut(MapRanges *ranges, ClusterRun *run)
{
    const Range *range = next_range(ranges, run->first);

    if (!range) {
        return false;
    }
    if (range->first > run->first) {
        run->n = MIN(run->n, range->first - run->first);
        return false;
    }
    run->n = MIN(run->n, range->end - run->first);
    return true;
}

void map_ranges_clear(MapRanges *ranges)
{
    g_clear_pointer(&ranges->array, g_array_unref);
}
