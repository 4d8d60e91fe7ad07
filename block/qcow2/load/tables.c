/*
 * Tables of 8-byte entries, each byte of them read once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/load/tables.h"

#include <assert.h>
#include <errno.h>

#include "block/limits.h"
#include "util/number.h"
#include "util/search.h"
#include "util/zeros.h"

#define SPAN_BYTES  (UINT64_C(1) << 20) /* the longest span: it is read at once, and takes no memory when all zeros */
#define PIECE_BYTES UINT64_C(4096)      /* what is read alone, where a span could not be; disks lose no less */

/* Where one or more tables begin or end. */
typedef struct Edge {
    uint64_t offset;
    int weight; /* +1 or -1 */
    int active;
} Edge;

struct Qcow2Tables {
    GArray *edges;  /* Edge */
    GArray *spans;  /* Qcow2TableSpan */
    GArray *failed; /* copies of those that could not be read */
};

Qcow2Tables *qcow2_tables_new(void)
{
    Qcow2Tables *t = g_new(Qcow2Tables, 1);

    t->edges = g_array_new(FALSE, FALSE, sizeof(Edge));
    t->spans = g_array_new(FALSE, FALSE, sizeof(Qcow2TableSpan));
    t->failed = g_array_new(FALSE, FALSE, sizeof(Qcow2TableSpan));
    return t;
}

static Qcow2TableSpan *span_at(const Qcow2Tables *t, size_t i)
{
    return &g_array_index(t->spans, Qcow2TableSpan, i);
}

void qcow2_tables_free(Qcow2Tables *t)
{
    for (size_t i = 0; i < t->spans->len; i++) {
        g_free(span_at(t, i)->slots);
    }
    g_array_free(t->spans, TRUE);
    g_array_free(t->failed, TRUE);
    g_array_free(t->edges, TRUE);
    g_free(t);
}

void qcow2_tables_add(Qcow2Tables *t, uint64_t offset, uint64_t entries, bool active)
{
    Edge edges[2] = {
        {.offset = offset, .weight = 1, .active = active},
        {.offset = offset + entries * 8, .weight = -1, .active = -active},
    };

    assert(offset % 8 == 0 && entries >= 1 && entries <= UINT32_MAX && offset + entries * 8 <= INT64_MAX);
    g_array_append_vals(t->edges, edges, 2);
}

/* Cuts the union of the tables, as far as it lies below @end, into spans. */
static void make_spans(Qcow2Tables *t, uint64_t end)
{
    Qcow2TableSpan span = {0};

    ARRAY_SORT(t->edges, Edge, offset);
    for (size_t i = 0; i < t->edges->len; i++) {
        const Edge *edge = &g_array_index(t->edges, Edge, i);
        uint64_t to = MIN(edge->offset, end);

        while (to > span.offset && span.weight) {
            span.n = MIN(to - span.offset, SPAN_BYTES) / 8;
            g_array_append_val(t->spans, span);
            span.offset += span.n * 8;
        }
        span.offset = to;
        span.weight += edge->weight;
        span.active += edge->active;
    }
    assert(span.weight == 0 && span.active == 0); /* each table that begins ends */
}

static BlockRange span_range(const void *opaque, size_t i)
{
    const Qcow2TableSpan *span = span_at(opaque, i);

    return (BlockRange){.offset = span->offset, .size = (uint32_t)(span->n * 8)};
}

static bool load_span(void *opaque, size_t i, const uint8_t *bytes, int error)
{
    Qcow2TableSpan *span = span_at(opaque, i);
    bool zeros = !error && (!bytes || is_zeros(bytes, span->n * 8));

    span->error = error;
    if (error || zeros) {
        return true;
    }
    span->slots = g_try_new(uint64_t, span->n);
    for (uint64_t k = 0; span->slots && k < span->n; k++) {
        span->slots[k] = load_be64(bytes + k * 8);
    }
    return span->slots != NULL;
}

/* Reads @piece, a part of a span that could not be read as a whole. False when memory is short. */
static bool load_piece(Qcow2TableSpan *piece, BlockSource *source)
{
    piece->slots = g_try_new(uint64_t, piece->n);
    if (!piece->slots) {
        return false;
    }
    piece->error = block_source_read(source, piece->slots, piece->n * 8, piece->offset);
    if (piece->error) {
        g_clear_pointer(&piece->slots, g_free);
        return true;
    }
    for (uint64_t k = 0; k < piece->n; k++) {
        piece->slots[k] = GUINT64_FROM_BE(piece->slots[k]);
    }
    return true;
}

/* Puts what of @span can be read, and what cannot, behind @spans. False when memory is short. */
static bool split_span(GArray *spans, const Qcow2TableSpan *span, BlockSource *source, unsigned *failed)
{
    uint64_t end = span->offset + span->n * 8;
    Qcow2TableSpan piece = *span;

    for (; piece.offset < end && *failed < LIMIT_FAILED_READS; piece.offset += piece.n * 8) {
        piece.n = (MIN(end, (piece.offset | (PIECE_BYTES - 1)) + 1) - piece.offset) / 8;
        if (!load_piece(&piece, source)) {
            return false;
        }
        *failed += piece.error != 0;
        g_array_append_val(spans, piece);
    }
    piece.n = (end - piece.offset) / 8;
    piece.error = span->error;
    piece.slots = NULL;
    if (piece.n) {
        g_array_append_val(spans, piece);
    }
    return true;
}

/* Tells what of the spans that could not be read is really lost. False when memory is short. */
static bool narrow_failures(Qcow2Tables *t, BlockSource *source)
{
    GArray *whole = t->spans;
    unsigned failed = 0;
    bool ok = true;

    t->spans = g_array_new(FALSE, FALSE, sizeof(Qcow2TableSpan));
    for (size_t i = 0; i < whole->len; i++) {
        Qcow2TableSpan *span = &g_array_index(whole, Qcow2TableSpan, i);

        if (span->error) {
            ok = ok && split_span(t->spans, span, source, &failed);
        } else {
            g_array_append_val(t->spans, *span);
        }
    }
    g_array_unref(whole);
    for (size_t i = 0; i < t->spans->len; i++) {
        if (span_at(t, i)->error) {
            g_array_append_val(t->failed, *span_at(t, i));
        }
    }
    return ok;
}

static bool any_failed(const Qcow2Tables *t)
{
    for (size_t i = 0; i < t->spans->len; i++) {
        if (span_at(t, i)->error) {
            return true;
        }
    }
    return false;
}

bool qcow2_tables_load(Qcow2Tables *t, BlockSource *source, const BlockReadOptions *options, GError **errp)
{
    BlockPrefetch prefetch = {
        .source = source,
        .options = *options,
        .range = span_range,
        .examine = load_span,
        .opaque = t, /* each span is its own: workers share nothing that they write */
    };
    uint64_t end;

    if (!align_up_u64(source->length, 8, &end)) {
        end = source->length & ~UINT64_C(7);
    }
    make_spans(t, end);
    prefetch.n = t->spans->len;
    if (!block_prefetch(&prefetch) || (any_failed(t) && !narrow_failures(t, source))) {
        g_set_error_literal(errp, BLOCK_ERROR, ENOMEM, "No memory for the tables");
        return false;
    }
    return true;
}

const Qcow2TableSpan *qcow2_tables_spans(const Qcow2Tables *t, size_t *n)
{
    *n = t->spans->len;
    return (const Qcow2TableSpan *)(void *)t->spans->data;
}

/* The first of @spans that ends behind @offset. */
static size_t find_span(const GArray *spans, uint64_t offset)
{
    size_t behind = ARRAY_FIRST_NOT_BELOW(spans, Qcow2TableSpan, offset, offset + 1);
    const Qcow2TableSpan *span = behind ? &g_array_index(spans, Qcow2TableSpan, behind - 1) : NULL;

    return span && span->offset + span->n * 8 > offset ? behind - 1 : behind;
}

uint64_t qcow2_tables_part(const Qcow2Tables *t, uint64_t offset, uint64_t entries, uint64_t *first,
                           const uint64_t **slots)
{
    uint64_t end = offset + entries * 8;

    for (size_t i = find_span(t->spans, offset + *first * 8); i < t->spans->len; i++) {
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

uint64_t qcow2_tables_unread_part(const Qcow2Tables *t, uint64_t offset, uint64_t entries, uint64_t *first, int *error)
{
    uint64_t end = offset + entries * 8;
    uint64_t at = offset + *first * 8;
    size_t i = find_span(t->failed, at);
    uint64_t to;

    for (to = at; i < t->failed->len; i++) {
        const Qcow2TableSpan *span = &g_array_index(t->failed, Qcow2TableSpan, i);

        if (to == at && span->offset > at) {
            at = to = span->offset;
        }
        if (span->offset > to || to >= end) {
            break;
        }
        to = span->offset + span->n * 8;
        *error = span->error;
    }
    if (at >= end || to == at) {
        return 0;
    }
    *first = (at - offset) / 8;
    return (MIN(to, end) - at) / 8;
}

int qcow2_tables_error(const Qcow2Tables *t, uint64_t offset, uint64_t entries)
{
    uint64_t first = 0;
    int error = 0;

    return qcow2_tables_unread_part(t, offset, entries, &first, &error) ? error : 0;
}
