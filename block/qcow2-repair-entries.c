/*
 * L2 entries that a repair overwrites: unaligned ones without data, and those of guest data that lies on metadata.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2-repair.h"

#include <string.h>

#include "block/prefetch.h"
#include "block/qcow2-format.h"
#include "util/number.h"

/* ---- going through all tables ---- */

typedef struct Search {
    const Qcow2Repair *r;
    GArray *found; /* Qcow2EntryEdit */
} Search;

static int compare_entries(const void *a, const void *b)
{
    const Qcow2EntryEdit *x = a, *y = b;

    if (x->table != y->table) {
        return x->table < y->table ? -1 : 1;
    }
    return (x->index > y->index) - (x->index < y->index);
}

/* What @visit finds in all tables, sorted. */
static GArray *search_tables(Qcow2Repair *r,
                             bool (*visit)(void *, const Qcow2TableRef *, const uint8_t *, const Qcow2L2Result *),
                             GError **errp)
{
    Search searches[BLOCK_MAX_WORKERS];
    void *states[BLOCK_MAX_WORKERS];
    Qcow2TableVisitor visitor = {.visit = visit, .states = states};
    GArray *all = g_array_new(FALSE, FALSE, sizeof(Qcow2EntryEdit));
    bool ok;

    for (unsigned i = 0; i < BLOCK_MAX_WORKERS; i++) {
        searches[i] = (Search){.r = r, .found = g_array_new(FALSE, FALSE, sizeof(Qcow2EntryEdit))};
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

static void append_entry(Search *s, const Qcow2TableRef *table, const uint8_t *bytes, const Qcow2Extent *extent)
{
    size_t size = qcow2_l2_entry_size(s->r->header);
    const uint8_t *at = bytes + extent->index * size;
    Qcow2EntryEdit edit = {
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

    g_array_append_val(s->found, edit);
}

static bool visit_unaligned(void *state, const Qcow2TableRef *table, const uint8_t *bytes,
                            const Qcow2L2Result *contents)
{
    Search *s = state;

    if (!qcow2_repair_table_writable(s->r, table->offset, table->weight)) {
        return true;
    }
    for (guint i = 0; i < contents->faults->len; i++) {
        const Qcow2L2Fault *fault = &g_array_index(contents->faults, Qcow2L2Fault, i);

        if (fault->kind == QCOW2_FINDING_PREALLOCATED_UNALIGNED) {
            append_entry(s, table, bytes, extent_of(contents, fault->index));
        }
    }
    return true;
}

bool qcow2_repair_find_zeroed(Qcow2Repair *r, GError **errp)
{
    r->zeroed = search_tables(r, visit_unaligned, errp);
    if (!r->zeroed) {
        return false;
    }
    for (guint i = 0; i < r->zeroed->len && !qcow2_has_data_file(r->header); i++) {
        const Qcow2EntryEdit *e = &g_array_index(r->zeroed, Qcow2EntryEdit, i);

        if (!qcow2_repair_drop(r, e->offset, e->length, e->weight, errp)) {
            return false;
        }
    }
    return true;
}

/* ---- data that lies on metadata ---- */

/* True where @cluster is metadata, and has more users besides. */
static bool contested(const Qcow2Repair *r, uint64_t cluster)
{
    uint64_t metadata = refmap_get(r->metadata.refs, cluster);

    return metadata && qcow2_repair_contested(r, cluster, metadata);
}

static void append_contested_run(Search *s, const Qcow2TableRef *table, const uint8_t *bytes, const Qcow2Run *run)
{
    const Qcow2HeaderFields *h = s->r->header;

    for (uint32_t i = 0; i < run->n; i++) {
        Qcow2Extent extent = {
            .offset = run->offset + ((uint64_t)i << h->cluster_bits),
            .length = h->cluster_size,
            .index = run->index + i,
        };

        if (!qcow2_region_beyond_end(&s->r->check.counting, extent.offset, extent.length) &&
            contested(s->r, extent.offset >> h->cluster_bits)) {
            append_entry(s, table, bytes, &extent);
        }
    }
}

static bool visit_contested(void *state, const Qcow2TableRef *table, const uint8_t *bytes,
                            const Qcow2L2Result *contents)
{
    Search *s = state;
    unsigned bits = s->r->header->cluster_bits;

    if (!qcow2_repair_table_writable(s->r, table->offset, table->weight)) {
        return true;
    }
    for (uint32_t i = 0; i < contents->n_runs; i++) {
        append_contested_run(s, table, bytes, &contents->runs[i]);
    }
    for (guint i = 0; i < contents->extents->len; i++) {
        const Qcow2Extent *e = &g_array_index(contents->extents, Qcow2Extent, i);
        bool on_metadata = false;

        if (!e->compressed || qcow2_region_beyond_end(&s->r->check.counting, e->offset, e->length)) {
            continue; /* data at an odd place is damaged otherwise already */
        }
        for (uint64_t k = e->offset >> bits; k <= (e->offset + e->length - 1) >> bits; k++) {
            on_metadata |= contested(s->r, k);
        }
        if (on_metadata) {
            append_entry(s, table, bytes, e);
        }
    }
    return true;
}

/* Where in a cluster a copy begins: compressed data keeps its place in the sector, and so its length. */
static uint64_t place_in_copy(const Qcow2EntryEdit *e)
{
    return e->compressed ? e->offset % QCOW2_SECTOR_SIZE : 0;
}

static uint64_t moved_entry(const Qcow2Repair *r, const Qcow2EntryEdit *e, uint64_t to)
{
    uint64_t offset_mask =
        e->compressed ? (UINT64_C(1) << (70 - r->header->cluster_bits)) - 1 : QCOW2_OFFSET_MASK | QCOW2_OFLAG_COPIED;
    uint64_t entry = (e->entry & ~offset_mask) | to;

    /* a table that only the active tree has, and once: so has it the copy */
    return !e->compressed && e->active && e->weight == 1 ? entry | QCOW2_OFLAG_COPIED : entry;
}

/* Finds a place for a copy of what @e refers to, and adds the edits. */
static bool move_entry(Qcow2Repair *r, const Qcow2EntryEdit *e, GError **errp)
{
    uint64_t clusters = DIV_ROUND_UP(place_in_copy(e) + e->length, r->header->cluster_size);
    Edit copy = {
        .size = e->length,
        .structure = e->compressed ? IMAGE_CHECK_STRUCTURE_COMPRESSED_DATA : IMAGE_CHECK_STRUCTURE_DATA,
        .why = QCOW2_FINDING_REFCOUNT_TOO_LOW,
        .what = "a copy of guest data that lies on metadata",
        .copies = true,
        .from = e->offset,
    };
    Edit entry = {
        .offset = e->table + (uint64_t)e->index * qcow2_l2_entry_size(r->header),
        .size = 8,
        .structure = IMAGE_CHECK_STRUCTURE_L2,
        .why = QCOW2_FINDING_REFCOUNT_TOO_LOW,
        .count = 1,
        .what = "refer to the copy",
    };

    if (!qcow2_repair_allocate(r, clusters, e->weight, &copy.offset, errp)) {
        return false;
    }
    if (!copy.offset) {
        /* it stays where it is, with a count that says so */
        if (r->messages) {
            fprintf(r->messages, "No place for a copy of data that lies on metadata: l2_entry=%" PRIx64 "\n", e->entry);
        }
        return true;
    }
    if (!qcow2_repair_drop(r, e->offset, e->length, e->weight, errp)) {
        return false;
    }
    g_array_append_vals(r->moved, e, 1);
    copy.offset += place_in_copy(e);
    entry.bytes = g_malloc(entry.size);
    store_be64(entry.bytes, moved_entry(r, e, copy.offset));
    edits_add(r->edits, EDIT_PHASE_FREE_SPACE, &copy);
    edits_add(r->edits, EDIT_PHASE_MOVE, &entry);
    if (r->messages) {
        fprintf(r->messages,
                "Repairing data cluster: l2_entry=%" PRIx64 " (at 0x%" PRIx64
                ") lies on metadata, and gets a copy of its own at 0x%" PRIx64 "\n",
                e->entry, entry.offset, copy.offset);
    }
    return true;
}

bool qcow2_repair_find_moved(Qcow2Repair *r, GError **errp)
{
    g_autoptr(GArray) found = NULL;

    /* encrypted data can only be read where it is */
    if (qcow2_has_data_file(r->header) || r->header->crypt_method != QCOW2_CRYPT_NONE ||
        !qcow2_repair_any_metadata(r, qcow2_repair_contested)) {
        return true;
    }
    found = search_tables(r, visit_contested, errp);
    if (!found) {
        return false;
    }
    r->moved = g_array_new(FALSE, FALSE, sizeof(Qcow2EntryEdit));
    for (guint i = 0; i < found->len; i++) {
        if (!move_entry(r, &g_array_index(found, Qcow2EntryEdit, i), errp)) {
            return false;
        }
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
