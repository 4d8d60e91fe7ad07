/*
 * Guest data that lies on metadata gets another place.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/passes.h"

#include <assert.h>

#include "block/qcow2/format/format.h"
#include "util/number.h"

bool moves_entry_ready(const MetadataLayout *layout, const OverlappedEntry *e)
{
    uint64_t table = e->at >> layout->header->cluster_bits;
    bool itself = e->read && overlap_first_cluster(layout, e) <= table && table <= overlap_last_cluster(layout, e);

    return e->movable && refmap_get(layout->overlap.reads, table) == itself;
}

ImageCheckFindingKind moves_why(const RepairInput *in)
{
    const uint64_t *found = in->report->count_by_kind;

    return found[QCOW2_FINDING_REFCOUNT_TOO_LOW]        ? QCOW2_FINDING_REFCOUNT_TOO_LOW
           : found[QCOW2_FINDING_REFCOUNT_BLOCK_SHARED] ? QCOW2_FINDING_REFCOUNT_BLOCK_SHARED
                                                        : QCOW2_FINDING_REFCOUNT_OVERFLOW;
}

/* Where in a cluster a copy begins: compressed data keeps its place in the sector, and so its length. */
static uint64_t place_in_copy(const OverlappedEntry *e)
{
    return e->compressed ? e->offset % QCOW2_SECTOR_SIZE : 0;
}

/* @e as it refers to the copy at @to. */
static uint64_t moved_entry(const RepairInput *in, const OverlappedEntry *e, uint64_t to)
{
    uint64_t offset_mask =
        e->compressed ? (UINT64_C(1) << (70 - in->header->cluster_bits)) - 1 : QCOW2_OFFSET_MASK | QCOW2_OFLAG_COPIED;
    uint64_t entry = (e->entry & ~offset_mask) | to;

    /* a table that only the active tree has, and once: so has it the copy */
    return !e->compressed && e->active && e->weight == 1 ? entry | QCOW2_OFLAG_COPIED : entry;
}

static void add_edits(const RepairInput *in, Edits *edits, const OverlappedEntry *e, uint64_t to)
{
    Edit copy = {
        .offset = to,
        .size = e->length,
        .structure = e->compressed ? IMAGE_CHECK_STRUCTURE_COMPRESSED_DATA : IMAGE_CHECK_STRUCTURE_DATA,
        .why = moves_why(in),
        .what = "a copy of guest data that lies on metadata",
        .copies = true,
        .from = e->offset,
    };
    Edit word = {
        .offset = e->at,
        .structure = IMAGE_CHECK_STRUCTURE_L2,
        .why = moves_why(in),
        .count = 1,
        .what = "refer to the copy",
    };

    edits_add(edits, EDIT_PHASE_FREE_SPACE, &copy);
    edits_add_word(edits, EDIT_PHASE_SWITCH, &word, moved_entry(in, e, to));
    repair_say(in,
               "Repairing data cluster: l2_entry=%" PRIx64 " (at 0x%" PRIx64
               ") lies on metadata, and gets a copy of its own at 0x%" PRIx64 "\n",
               e->entry, e->at, to);
}

/* Finds a place for a copy of what @e refers to; without one it stays where it is, with a count that says so. */
static bool copy_data(const RepairInput *in, Allocator *alloc, Edits *edits, const OverlappedEntry *e, GError **errp)
{
    uint64_t clusters = DIV_ROUND_UP(place_in_copy(e) + e->length, in->header->cluster_size), to;

    if (!allocator_reserve(alloc, clusters, e->weight, &to, errp)) {
        return false;
    }
    assert(e->movable && to % in->header->cluster_size == 0);
    if (to) {
        add_edits(in, edits, e, to + place_in_copy(e));
    } else {
        repair_say(in, "No place for a copy of data that lies on metadata: l2_entry=%" PRIx64 "\n", e->entry);
    }
    return true;
}

static bool may_move(const RepairInput *in, const MetadataLayout *layout)
{
    return layout->overlap.entries && in->options->all && repair_wants(in, QCOW2_FINDING_REFCOUNT_TOO_LOW);
}

bool repair_moves(const RepairInput *in, const MetadataLayout *layout, Allocator *alloc, Edits *edits, GError **errp)
{
    const GArray *entries = layout->overlap.entries;

    if (!may_move(in, layout)) {
        return true;
    }
    if (!moves_copy_tables(in, layout, alloc, edits, errp)) {
        return false;
    }
    for (guint i = 0; i < entries->len; i++) {
        const OverlappedEntry *e = &g_array_index(entries, OverlappedEntry, i);

        if (moves_entry_ready(layout, e) && !copy_data(in, alloc, edits, e, errp)) {
            return false;
        }
    }
    allocator_add_counts(alloc, edits, moves_why(in));
    return true;
}

void moves_report_unmoved(const RepairInput *in, const MetadataLayout *layout)
{
    const GArray *entries = layout->overlap.entries;
    const OverlappedEntry *first = NULL;
    guint n = 0;

    for (guint i = 0; may_move(in, layout) && i < entries->len; i++) {
        const OverlappedEntry *e = &g_array_index(entries, OverlappedEntry, i);

        if (e->read && overlap_lies_on_metadata(layout, e)) {
            first = first ? first : e;
            n++;
        }
    }
    if (n) {
        repair_say(in,
                   "Guest data stays on metadata, which is left as it is there: %u L2 entries, the first of them "
                   "l2_entry=%" PRIx64 " (at 0x%" PRIx64 "). There is no place for a copy, or data that is encrypted, "
                   "or what else is read there would change. 'qemu-img convert' can copy what can be read to a new "
                   "image.\n",
                   n, first->entry, first->at);
    }
}
