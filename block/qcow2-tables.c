/*
 * Tables of 8-byte entries, each byte of them read once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2-tables.h"

#include <errno.h>

#include "util/number.h"

/* Where one or more tables begin or end. */
typedef struct Edge {
    uint64_t offset;
    int weight; /* +1 or -1 */
    int active;
} Edge;

struct Qcow2Tables {
    GArray *edges; /* Edge */
    GArray *spans; /* Qcow2TableSpan */
};

Qcow2Tables *qcow2_tables_new(void)
{
    Qcow2Tables *t = g_new(Qcow2Tables, 1);

    t->edges = g_array_new(FALSE, FALSE, sizeof(Edge));
    t->spans = g_array_new(FALSE, FALSE, sizeof(Qcow2TableSpan));
    return t;
}

static Qcow2TableSpan *span_at(const Qcow2Tables *t, size_t i)
{
    return &g_array_index(t->spans, Qcow2TableSpan, i);
}

void qcow2_tables_free(Qcow2Tables *t)
{
    if (!t) {
        return;
    }
    for (size_t i = 0; i < t->spans->len; i++) {
        g_free(span_at(t, i)->slots);
    }
    g_array_free(t->spans, TRUE);
    g_array_free(t->edges, TRUE);
    g_free(t);
}

void qcow2_tables_add(Qcow2Tables *t, uint64_t offset, uint64_t entries, bool active)
{
    Edge edges[2] = {
        {.offset = offset, .weight = 1, .active = active},
        {.offset = offset + entries * 8, .weight = -1, .active = -active},
    };

    g_array_append_vals(t->edges, edges, 2);
}

static int compare_edges(const void *a, const void *b)
{
    const Edge *x = a, *y = b;

    return (x->offset > y->offset) - (x->offset < y->offset);
}

/* Cuts the union of the tables, as far as it lies below @end, into spans. */
static void make_spans(Qcow2Tables *t, uint64_t end)
{
    Qcow2TableSpan span = {0};

    g_array_sort(t->edges, compare_edges);
    for (size_t i = 0; i < t->edges->len; i++) {
        const Edge *edge = &g_array_index(t->edges, Edge, i);
        uint64_t to = MIN(edge->offset, end);

        if (to > span.offset && span.weight) {
            span.n = (to - span.offset) / 8;
            g_array_append_val(t->spans, span);
        }
        span.offset = to;
        span.weight += edge->weight;
        span.active += edge->active;
    }
}

static bool load_span(Qcow2TableSpan *span, BlockSource *source, GError **errp)
{
    span->slots = g_try_new(uint64_t, span->n);
    if (!span->slots) {
        g_set_error(errp, BLOCK_ERROR, ENOMEM, "No memory for a table of %" PRIu64 " entries at offset %" PRIu64,
                    span->n, span->offset);
        return false;
    }
    span->error = block_source_read(source, span->slots, span->n * 8, span->offset);
    if (span->error) {
        g_clear_pointer(&span->slots, g_free);
        return true;
    }
    for (uint64_t i = 0; i < span->n; i++) {
        span->slots[i] = GUINT64_FROM_BE(span->slots[i]);
    }
    return true;
}

bool qcow2_tables_load(Qcow2Tables *t, BlockSource *source, GError **errp)
{
    uint64_t end;

    if (!align_up_u64(source->length, 8, &end)) {
        end = source->length & ~UINT64_C(7);
    }
    make_spans(t, end);
    for (size_t i = 0; i < t->spans->len; i++) {
        if (!load_span(span_at(t, i), source, errp)) {
            return false;
        }
    }
    return true;
}

const Qcow2TableSpan *qcow2_tables_spans(const Qcow2Tables *t, size_t *n)
{
    *n = t->spans->len;
    return (const Qcow2TableSpan *)(void *)t->spans->data;
}

/* The first span that ends behind @offset. */
static size_t find_span(const Qcow2Tables *t, uint64_t offset)
{
    size_t low = 0, high = t->spans->len;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const Qcow2TableSpan *span = span_at(t, middle);

        if (span->offset + span->n * 8 <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

uint64_t qcow2_tables_part(const Qcow2Tables *t, uint64_t offset, uint64_t entries, uint64_t *first,
                           const uint64_t **slots)
{
    uint64_t end = offset + entries * 8;

    for (size_t i = find_span(t, offset + *first * 8); i < t->spans->len; i++) {
        const Qcow2TableSpan *span = span_at(t, i);
        uint64_t at = MAX(offset + *first * 8, span->offset);

        if (at >= end) {
            return 0;
        }
        if (span->slots) {
            *first = (at - offset) / 8;
            *slots = span->slots + (at - span->offset) / 8;
            return (MIN(end, span->offset + span->n * 8) - at) / 8;
        }
    }
    return 0;
}

int qcow2_tables_error(const Qcow2Tables *t, uint64_t offset, uint64_t entries)
{
    uint64_t end = offset + entries * 8;

    for (size_t i = find_span(t, offset); i < t->spans->len; i++) {
        const Qcow2TableSpan *span = span_at(t, i);

        if (span->offset >= end) {
            break;
        }
        if (span->error) {
            return span->error;
        }
    }
    return 0;
}
