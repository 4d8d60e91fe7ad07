/*
 * Attaches a table where a person says that it belongs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/request.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>

#include "block/qcow2/format/format.h"
#include "block/qcow2/inspect/lost-blocks.h"
#include "util/number.h"
#include "util/search.h"

static bool refuse_table(const Restore *r, const Refusal *refusal)
{
    return request_refuse(r->errp, "The table at 0x%" PRIx64 " is not attached: %s 0x%" PRIx64,
                          r->in->options->request->offset, refusal->why, refusal->offset);
}

/* ---- L2 tables ---- */

/* The L1 table that is meant: that of the disk, or of a snapshot. */
static bool find_l1(const Restore *r, uint64_t *offset, uint64_t *entries)
{
    const char *name = r->in->options->request->name;
    const Qcow2Snapshot *s = NULL;

    *offset = r->in->header->l1_table_offset;
    *entries = r->in->header->l1_size;
    if (name) {
        guint i;

        if (!request_find_snapshot(r->in, name, &i, r->errp)) {
            return false;
        }
        s = &g_array_index(r->in->check->snapshots.items, Qcow2Snapshot, i);
        *offset = s->l1_table_offset;
        *entries = s->l1_size;
    }
    return (!s || qcow2_snapshot_l1_valid(s, r->in->header)) ||
           request_refuse(r->errp, "The L1 table of snapshot '%s' cannot be followed", name);
}

/*
 * Returns true if the L1 entry of the disk at @slot can be overwritten, as another one refers to its table, too: one of
 * them is wrong, and only a person can tell which. No table is lost by it.
 */
static bool slot_is_double(const Restore *r, uint64_t slot)
{
    uint64_t table;
    size_t n, i;
    const Qcow2TableRef *tables = qcow2_walk_tables(r->in->check->walk, &n);
    uint8_t word[8];

    if (!layout_word_writable(r->layout, slot) || block_source_read(r->in->image->source, word, sizeof(word), slot)) {
        return false;
    }
    table = load_be64(word) & QCOW2_OFFSET_MASK;
    i = FIRST_NOT_BELOW(tables, n, Qcow2TableRef, offset, table);
    if (i == n || tables[i].offset != table || tables[i].active < 2) {
        return false;
    }
    repair_say(r->in,
               "L1 entry %" PRIu64 " refers to the table at 0x%" PRIx64 " no more, to which another one refers, too\n",
               r->in->options->request->index, table);
    return true;
}

static bool attach_l2(Restore *r)
{
    const Qcow2Request *q = r->in->options->request;
    RestoredEntry entry = {.table = q->offset, .active = !q->name, .like = {.why = QCOW2_FINDING__MAX}};
    uint64_t l1, entries;
    Refusal refusal;

    if (!find_l1(r, &l1, &entries)) {
        return false;
    }
    if (q->index >= entries) {
        return request_refuse(r->errp, "There is no L1 entry %" PRIu64 ": the table has %" PRIu64 " entries", q->index,
                              entries);
    }
    entry.slot = l1 + q->index * 8;
    if (!restore_slot_is_free(r, entry.slot) && !(entry.active && slot_is_double(r, entry.slot))) {
        return request_refuse(r->errp, "L1 entry %" PRIu64 " is in use, or another structure is there", q->index);
    }
    if (!new_references_add_l2(&r->references, q->offset, 1, &refusal, r->errp)) {
        return false;
    }
    if (refusal.why) {
        return refuse_table(r, &refusal);
    }
    g_array_append_val(r->entries, entry);
    return true;
}

/* ---- L1 tables ---- */

static bool attach_l1(Restore *r)
{
    const Qcow2Request *q = r->in->options->request;
    Edit edit = {
        .offset = offsetof(Qcow2DiskHeader, l1_table_offset),
        .structure = IMAGE_CHECK_STRUCTURE_HEADER,
        .why = QCOW2_FINDING__MAX,
        .count = 1,
        .what = "refer to this L1 table",
    };
    Refusal refusal;

    if (!restore_disk_is_empty(r)) {
        return request_refuse(r->errp, "The L1 table of the disk has tables, which would be lost");
    }
    if (q->offset % r->in->header->cluster_size || !allocator_header_writable(r->alloc)) {
        return request_refuse(r->errp, "No L1 table can be at 0x%" PRIx64, q->offset);
    }
    if (!new_references_add_l1(&r->references, q->offset, r->in->header->l1_size, &refusal, r->errp)) {
        return false;
    }
    if (refusal.why) {
        return refuse_table(r, &refusal);
    }
    edits_add_word(r->edits, EDIT_PHASE_SWITCH, &edit, q->offset);
    return true;
}

/* ---- refcount blocks ---- */

static bool block_is_possible(const Restore *r)
{
    const Qcow2Request *q = r->in->options->request;
    const Qcow2HeaderFields *h = r->in->header;
    uint64_t cluster = q->offset >> h->cluster_bits;

    return q->offset && q->offset % h->cluster_size == 0 && cluster < r->layout->file_clusters &&
           !refmap_get(r->in->check->counting.refs, cluster) &&
           !block_source_read(r->in->image->source, r->references.bytes, h->cluster_size, q->offset) &&
           qcow2_lost_block_counts(r->in->check, r->references.bytes, q->index);
}

static bool attach_refblock(Restore *r)
{
    const Qcow2Request *q = r->in->options->request;
    const Qcow2RefcountEntries *table = &r->in->image->refcount_table;
    Edit edit = {
        .offset = r->in->header->refcount_table_offset + q->index * 8,
        .structure = IMAGE_CHECK_STRUCTURE_REFCOUNT_TABLE,
        .why = QCOW2_FINDING__MAX,
        .count = 1,
        .what = "refer to this refcount block",
    };
    bool writable;

    if (q->index >= table->n || table->entries[q->index] || qcow2_refcount_entry_unread(table, q->index)) {
        return request_refuse(r->errp, "Entry %" PRIu64 " of the refcount table is in use, or not there", q->index);
    }
    if (!blocks_table_sound(r->alloc->targets, &writable) || !writable) {
        return request_refuse(r->errp, "Another structure lies on the refcount table");
    }
    if (!block_is_possible(r)) {
        return request_refuse(r->errp,
                              "The bytes at 0x%" PRIx64 " are not the counts of the clusters of block %" PRIu64
                              ", or something else uses them",
                              q->offset, q->index);
    }
    edits_add_word(r->edits, EDIT_PHASE_SWITCH, &edit, q->offset);
    return true;
}

bool request_attach(Restore *r)
{
    switch (r->in->options->request->kind) {
    case QCOW2_REQUEST_ATTACH_L2:
        return attach_l2(r);
    case QCOW2_REQUEST_ATTACH_L1:
        return attach_l1(r);
    default:
        return attach_refblock(r);
    }
}
