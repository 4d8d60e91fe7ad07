/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ranges.h"

#include <inttypes.h>
#include <stdlib.h>

static int by_start(const void *a, const void *b)
{
    const Range *x = a, *y = b;

    return (x->start > y->start) - (x->start < y->start);
}

static void merge(GArray *ranges)
{
    Range *range = (Range *)(void *)ranges->data;
    guint n = 0;

    for (guint i = 0; i < ranges->len; i++) {
        if (n && range[i].start <= range[n - 1].end) {
            range[n - 1].end = MAX(range[n - 1].end, range[i].end);
        } else {
            range[n++] = range[i];
        }
    }
    g_array_set_size(ranges, n);
}

GArray *ranges_read(FILE *file)
{
    GArray *ranges = g_array_new(FALSE, FALSE, sizeof(Range));
    uint64_t offset, size;

    while (fscanf(file, "%" SCNu64 " %" SCNu64, &offset, &size) == 2) {
        Range range = {offset, offset + size};

        g_array_append_val(ranges, range);
    }
    qsort(ranges->data, ranges->len, sizeof(Range), by_start);
    merge(ranges);
    return ranges;
}

GArray *ranges_cut(const GArray *ranges, uint64_t size)
{
    GArray *pieces = g_array_new(FALSE, FALSE, sizeof(Range));

    for (guint i = 0; i < ranges->len; i++) {
        Range range = g_array_index(ranges, Range, i);

        for (Range piece = range; piece.start < range.end; piece.start = piece.end) {
            piece.end = MIN(range.end, piece.start + size);
            g_array_append_val(pieces, piece);
        }
    }
    return pieces;
}
