/*
 * Which L2 tables an image has.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/check/table-list.h"

#include <assert.h>

#include "block/limits.h"
#include "block/qcow2/format/format.h"
#include "util/search.h"

#define MIN_PENDING 16384u /* tables that are sorted at once; of many more, a 16th of those that are sorted already */

/* Returns true if each table lies behind the one before: so it is in images that were written in order. */
static bool in_order(const GArray *tables)
{
    for (size_t i = 1; i < tables->len; i++) {
        if (qcow2_table_ref(tables, i - 1)->offset >= qcow2_table_ref(tables, i)->offset) {
            return false;
        }
    }
    return true;
}

static void add_reference(Qcow2TableRef *to, const Qcow2TableRef *ref)
{
    if (!to->active && ref->active) {
        to->slot = ref->slot;
    }
    to->weight += ref->weight;
    to->active += ref->active;
}

void qcow2_table_refs_sort(GArray *tables)
{
    size_t kept = 0;

    ARRAY_SORT(tables, Qcow2TableRef, offset);
    for (size_t i = 0; i < tables->len; i++) {
        Qcow2TableRef ref = *qcow2_table_ref(tables, i);
        Qcow2TableRef *last = kept ? qcow2_table_ref(tables, kept - 1) : NULL;

        if (last && last->offset == ref.offset) {
            add_reference(last, &ref);
        } else {
            *qcow2_table_ref(tables, kept++) = ref;
        }
    }
    g_array_set_size(tables, (guint)kept);
}

/* Puts the tables of @b, sorted and without doubles as @a is, among those of @a. */
static void merge_tables(GArray **a, const GArray *b)
{
    GArray *all = g_array_sized_new(FALSE, FALSE, sizeof(Qcow2TableRef), (*a)->len + b->len);
    size_t i = 0, k = 0;

    while (i < (*a)->len || k < b->len) {
        const Qcow2TableRef *x = i < (*a)->len ? qcow2_table_ref(*a, i) : NULL;
        const Qcow2TableRef *y = k < b->len ? qcow2_table_ref(b, k) : NULL;

        assert(x || y);
        /* cppcheck-suppress nullPointerRedundantCheck ; one of them is there */
        Qcow2TableRef ref = !y || (x && x->offset <= y->offset) ? *x : *y;

        if (x && y && x->offset == y->offset) {
            add_reference(&ref, y);
        }
        i += x && x->offset == ref.offset;
        k += y && y->offset == ref.offset;
        g_array_append_val(all, ref);
    }
    g_array_free(*a, TRUE);
    *a = all;
}

/* Empties @pending into *tables. */
static void take_pending(GArray **tables, GArray *pending)
{
    if (!in_order(pending)) {
        qcow2_table_refs_sort(pending);
    }
    if (pending->len) {
        merge_tables(tables, pending);
    }
    g_array_set_size(pending, 0);
}

static void append_tables(GArray **tables, GArray *pending, const Qcow2TableSpan *span)
{
    for (uint64_t i = 0; span->slots && i < span->n; i++) {
        Qcow2TableRef ref = {
            .offset = span->slots[i] & QCOW2_OFFSET_MASK,
            .slot = span->offset + i * 8,
            .weight = span->weight,
            .active = span->active & INT64_MAX,
        };

        /* an entry of nothing but flags is walked too: its table is the header cluster (X065) */
        if (span->slots[i]) {
            g_array_append_val(pending, ref);
        }
        if (pending->len >= MAX(MIN_PENDING, (*tables)->len / 16)) {
            take_pending(tables, pending);
        }
    }
}

/*
 * Snapshots have much the same tables, in much the same order, so they are merged L1 table by L1 table; small ones
 * are put together first. There are never more entries than twice the distinct tables, or so.
 */
GArray *qcow2_table_refs_new(const Qcow2Tables *l1_tables)
{
    GArray *tables = g_array_new(FALSE, FALSE, sizeof(Qcow2TableRef));
    g_autoptr(GArray) pending = g_array_new(FALSE, FALSE, sizeof(Qcow2TableRef));
    size_t n_spans;
    const Qcow2TableSpan *spans = qcow2_tables_spans(l1_tables, &n_spans);

    for (size_t s = 0; s < n_spans; s++) {
        append_tables(&tables, pending, &spans[s]);
        if (pending->len >= tables->len / 16) {
            take_pending(&tables, pending);
        }
    }
    take_pending(&tables, pending);
    return tables;
}

uint64_t qcow2_table_refs_skip(GArray *tables, uint64_t cluster_size)
{
    uint64_t examined[LIMIT_UNALIGNED_L2]; /* the last of them that are not skipped */
    uint64_t skipped = 0;
    size_t n = 0;

    for (size_t i = 0; i < tables->len; i++) {
        Qcow2TableRef *table = qcow2_table_ref(tables, i);

        if (table->offset % cluster_size == 0) {
            continue;
        }
        if (n >= LIMIT_UNALIGNED_L2 && table->offset - examined[n % LIMIT_UNALIGNED_L2] < cluster_size) {
            table->skipped = 1;
            skipped++;
        } else {
            examined[n++ % LIMIT_UNALIGNED_L2] = table->offset;
        }
    }
    return skipped;
}

const Qcow2TableRef *qcow2_table_refs_find(const GArray *tables, uint64_t offset)
{
    size_t i = ARRAY_FIRST_NOT_BELOW(tables, Qcow2TableRef, offset, offset);

    return i < tables->len && qcow2_table_ref(tables, i)->offset == offset ? qcow2_table_ref(tables, i) : NULL;
}
