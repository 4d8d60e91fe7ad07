/*
 * L2 entries that a repair overwrites: looking for them, and unaligned ones without data.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/entries.h"

#include <string.h>

#include "block/io/prefetch.h"
#include "block/qcow2/format/format.h"
#include "util/number.h"

/* ---- going through all tables ---- */

static int compare_entries(const void *a, const void *b)
{
    const Qcow2EntryEdit *x = a, *y = b;

    if (x->table != y->table) {
        return x->table < y->table ? -1 : 1;
    }
    return (x->index > y->index) - (x->index < y->index);
}

GArray *qcow2_repair_search_entries(
    Qcow2Repair *r, bool (*visit)(void *, const Qcow2TableRef *, const uint8_t *, const Qcow2L2Result *), GError **errp)
{
    Qcow2EntrySearch searches[BLOCK_MAX_WORKERS];
    void *states[BLOCK_MAX_WORKERS];
    Qcow2TableVisitor visitor = {.visit = visit, .states = states};
    GArray *all = g_array_new(FALSE, FALSE, sizeof(Qcow2EntryEdit));
    bool ok;

    for (unsigned i = 0; i < BLOCK_MAX_WORKERS; i++) {
        searches[i] = (Qcow2EntrySearch){.r = r, .found = g_array_new(FALSE, FALSE, sizeof(Qcow2EntryEdit))};
        states[i] = &searches[i];
    }
    ok = qcow2_walk_visit(r->check.walk, &visitor, errp);
    for (unsigned i = 0; i < BLOCK_MAX_WORKERS; i++) {
        g_array_append_vals(all, searches[i].found->data, searches[i].found->len);
        g_array_free(searches[i].found, TRUE);
    }
    g_array_sort(all, compare_entries);
    if (!ok) {
        g_array_free(all, TRUE);
    }
    return ok ? all : NULL;
}

Qcow2EntryEdit qcow2_repair_entry(const Qcow2Repair *r, const Qcow2TableRef *table, const uint8_t *bytes,
                                  const Qcow2Extent *extent)
{
    size_t size = qcow2_l2_entry_size(r->header);
    const uint8_t *at = bytes + extent->index * size;

    return (Qcow2EntryEdit){
        .table = table->offset,
        .weight = table->weight,
        .active = table->active,
        .entry = load_be64(at),
        .bitmap = size > 8 ? load_be64(at + 8) : 0,
        .offset = extent->offset,
        .length = extent->length,
        .index = extent->index,
        .compressed = extent->compressed,
    };
}

/* ---- unaligned entries without data ---- */

static const Qcow2Extent *extent_of(const Qcow2L2Result *contents, uint32_t index)
{
    for (guint i = 0; i < contents->extents->len; i++) {
        const Qcow2Extent *e = &g_array_index(contents->extents, Qcow2Extent, i);

        if (e->index == index) {
            return e;
        }
    }
    return NULL;
}

static bool visit_unaligned(void *state, const Qcow2TableRef *table, const uint8_t *bytes,
                            const Qcow2L2Result *contents)
{
    Qcow2EntrySearch *s = state;

    for (guint i = 0; i < contents->faults->len; i++) {
        const Qcow2L2Fault *fault = &g_array_index(contents->faults, Qcow2L2Fault, i);

        if (fault->kind == QCOW2_FINDING_PREALLOCATED_UNALIGNED) {
            Qcow2EntryEdit edit = qcow2_repair_entry(s->r, table, bytes, extent_of(contents, fault->index));

            edit.writable = qcow2_repair_table_writable(s->r, table->offset, table->weight);
            g_array_append_val(s->found, edit);
        }
    }
    return true;
}

bool qcow2_repair_find_zeroed(Qcow2Repair *r, bool *all_writable, GError **errp)
{
    *all_writable = true;
    r->zeroed = qcow2_repair_search_entries(r, visit_unaligned, errp);
    for (guint i = 0; r->zeroed && i < r->zeroed->len; i++) {
        *all_writable &= g_array_index(r->zeroed, Qcow2EntryEdit, i).writable;
    }
    return r->zeroed != NULL;
}

bool qcow2_repair_choose_zeroed(Qcow2Repair *r, GError **errp)
{
    guint kept = 0;

    for (guint i = 0; r->zeroed && i < r->zeroed->len; i++) {
        Qcow2EntryEdit e = g_array_index(r->zeroed, Qcow2EntryEdit, i);

        if (!e.writable || qcow2_repair_read_by_guest(r, e.table >> r->header->cluster_bits)) {
            continue;
        }
        g_array_index(r->zeroed, Qcow2EntryEdit, kept++) = e;
        if (!qcow2_has_data_file(r->header) && !qcow2_repair_drop(r, e.offset, e.length, e.weight, errp)) {
            return false;
        }
    }
    if (r->zeroed) {
        g_array_set_size(r->zeroed, kept);
    }
    return true;
}

/* ---- edits ---- */

void qcow2_repair_add_zeroed(Qcow2Repair *r)
{
    size_t size = qcow2_l2_entry_size(r->header);

    for (guint i = 0; r->zeroed && i < r->zeroed->len; i++) {
        const Qcow2EntryEdit *e = &g_array_index(r->zeroed, Qcow2EntryEdit, i);
        Edit edit = {
            .offset = e->table + e->index * size,
            .size = size,
            .structure = IMAGE_CHECK_STRUCTURE_L2,
            .why = QCOW2_FINDING_PREALLOCATED_UNALIGNED,
            .count = 1,
            .what = "refer to nothing, and read as zeros as before",
            .bytes = g_malloc0(size),
        };

        if (size > 8) {
            store_be64(edit.bytes + 8, e->bitmap & ~(uint64_t)UINT32_MAX);
        } else {
            store_be64(edit.bytes, QCOW2_OFLAG_ZERO);
        }
        edits_add(r->edits, EDIT_PHASE_ENTRIES, &edit);
    }
}

static bool is_among(const GArray *entries, uint64_t table, uint32_t index)
{
    Qcow2EntryEdit wanted = {.table = table, .index = index};
    guint low = 0, high = entries ? entries->len : 0;

    while (low < high) {
        guint middle = low + (high - low) / 2;
        int order = compare_entries(&wanted, &g_array_index(entries, Qcow2EntryEdit, middle));

        if (order == 0) {
            return true;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return false;
}

bool qcow2_repair_entry_edited(const Qcow2Repair *r, uint64_t table, uint32_t index)
{
    return is_among(r->zeroed, table, index) || is_among(r->moved, table, index);
}
