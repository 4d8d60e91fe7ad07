/*
 * Puts back what is lost, by the evidence: L2 tables into L1 entries; restore-l1.c and restore-emptied.c have the rest.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/restore.h"

#include <inttypes.h>
#include <string.h>

#include "block/qcow2/format/format.h"
#include "block/qcow2/repair/passes.h"
#include "util/number.h"
#include "util/text.h"

/* ---- what the parts share ---- */

ImageCheckEvidence restore_class(const Restore *r, const Qcow2Evidence *e)
{
    return MAX(e->certainty, r->weakest);
}

bool restore_wanted(const Restore *r, const Qcow2Evidence *e, ImageCheckFindingKind kind)
{
    return restore_class(r, e) <= r->in->options->min_evidence && repair_wants(r->in, kind);
}

Edit restore_edit(const Restore *r, const Qcow2Evidence *e, ImageCheckFindingKind kind)
{
    return (Edit){.why = kind, .has_evidence = true, .evidence = restore_class(r, e)};
}

void restore_accept(Restore *r, const Qcow2Evidence *e, const char *what, const char *place)
{
    g_autofree char *safe = text_escape(e->reason, strlen(e->reason));
    TargetCounts *t = r->alloc->targets;

    t->evidence = t->has_evidence ? MAX(t->evidence, restore_class(r, e)) : restore_class(r, e);
    t->has_evidence = true;
    repair_say(r->in, "Restoring the %s at 0x%" PRIx64 " as %s (%s: %s)\n", what, e->offset, place,
               ImageCheckEvidence_str(restore_class(r, e)), safe);
}

void restore_say_refused(const Restore *r, const char *what, uint64_t offset, const Refusal *refusal)
{
    repair_say(r->in, "The %s at 0x%" PRIx64 " is not restored: %s 0x%" PRIx64 "\n", what, offset, refusal->why,
               refusal->offset);
}

bool restore_is_missing(const RepairInput *in, uint64_t word)
{
    uint64_t offset = word & QCOW2_OFFSET_MASK;

    return !offset || offset % in->header->cluster_size || offset >= in->check->counting.file_end;
}

/* ---- L2 tables ---- */

static bool is_taken(const Restore *r, uint64_t slot)
{
    for (guint i = 0; i < r->entries->len; i++) {
        if (g_array_index(r->entries, RestoredEntry, i).slot == slot) {
            return true;
        }
    }
    return false;
}

bool restore_slot_is_free(const Restore *r, uint64_t slot)
{
    uint8_t word[8];

    return layout_word_writable(r->layout, slot) && !is_taken(r, slot) &&
           !block_source_read(r->in->image->source, word, sizeof(word), slot) &&
           restore_is_missing(r->in, load_be64(word));
}

static char *describe_entry(const Restore *r, int tree, uint64_t index)
{
    const char *name =
        tree == QCOW2_TREE_ACTIVE ? NULL : g_array_index(r->in->check->snapshots.items, Qcow2Snapshot, tree).name;
    g_autofree char *safe = name ? text_escape(name, strlen(name)) : NULL;
    unsigned bits = r->in->header->l2_bits + r->in->header->cluster_bits;

    return g_strdup_printf("L1 entry %" PRIu64 "%s%s, guest 0x%" PRIx64 "-0x%" PRIx64, index,
                           safe ? " of snapshot " : "", safe ? safe : "", index << bits, ((index + 1) << bits) - 1);
}

/* Where the evidence has its place, or the likeliest of several; false: nowhere. */
static bool find_slot(const Restore *r, const Qcow2Evidence *e, int *tree, uint64_t *index, uint64_t *slot)
{
    *tree = e->has_entry ? e->tree : QCOW2_TREE_ACTIVE;
    *index = e->has_entry ? e->l1_index : e->likely;
    *slot = e->has_entry ? e->entry_offset : r->in->header->l1_table_offset + e->likely * 8;
    return e->has_entry || e->has_likely;
}

static bool restore_l2(Restore *r, const Qcow2Evidence *e)
{
    ImageCheckFindingKind kind =
        e->kind == QCOW2_EVIDENCE_L2 ? QCOW2_FINDING_LEAKED_L2 : QCOW2_FINDING_L2_REFERENCE_LOST;
    RestoredEntry entry = {.table = e->offset, .like = restore_edit(r, e, kind)};
    g_autofree char *place = NULL;
    Refusal refusal;
    uint64_t index;
    int tree;

    if (!restore_wanted(r, e, kind) || !find_slot(r, e, &tree, &index, &entry.slot) ||
        !restore_slot_is_free(r, entry.slot)) {
        return true;
    }
    if (!new_references_add_l2(&r->references, e->offset, 1, &refusal, r->errp)) {
        return false;
    }
    if (refusal.why) {
        restore_say_refused(r, "L2 table", e->offset, &refusal);
        return true;
    }
    entry.active = tree == QCOW2_TREE_ACTIVE;
    g_array_append_val(r->entries, entry);
    place = describe_entry(r, tree, index);
    restore_accept(r, e, "L2 table", place);
    return true;
}

/* The surer ones first: they leave fewer places for the others. */
static bool restore_l2_tables(Restore *r)
{
    const GArray *items = r->alloc->targets->lost.items;

    for (ImageCheckEvidence class = IMAGE_CHECK_EVIDENCE_PROVED; class <= IMAGE_CHECK_EVIDENCE_GUESSED; class ++) {
        for (guint i = 0; i < items->len; i++) {
            const Qcow2Evidence *e = &g_array_index(items, Qcow2Evidence, i);

            if ((e->kind == QCOW2_EVIDENCE_L2 || e->kind == QCOW2_EVIDENCE_L2_USER) && e->certainty == class &&
                !restore_l2(r, e)) {
                return false;
            }
        }
    }
    return true;
}

/* What an entry is depends on the count of its table, which is known when all references are. */
static void add_entries(Restore *r)
{
    for (guint i = 0; i < r->entries->len; i++) {
        const RestoredEntry *entry = &g_array_index(r->entries, RestoredEntry, i);
        uint64_t count = new_references_count(&r->references, entry->table >> r->in->header->cluster_bits);
        Edit edit = entry->like;

        new_references_add_flags(&r->references, r->edits, entry->table, &edit);
        edit.offset = entry->slot;
        edit.structure = IMAGE_CHECK_STRUCTURE_L1;
        edit.count = 1;
        edit.what = "refer to the lost L2 table";
        edits_add_word(r->edits, EDIT_PHASE_SWITCH, &edit,
                       entry->table | (entry->active && count == 1 ? QCOW2_OFLAG_COPIED : 0));
    }
}

bool restore_finish(Restore *r, ImageCheckFindingKind why)
{
    add_entries(r);
    if (!new_references_want_counts(&r->references, r->errp)) {
        return false;
    }
    allocator_add_counts(r->alloc, r->edits, why);
    return true;
}

/* ---- all of it ---- */

static ImageCheckEvidence weakest_so_far(const Edits *edits)
{
    ImageCheckEvidence weakest = IMAGE_CHECK_EVIDENCE_PROVED;

    for (size_t i = 0; i < edits_n(edits); i++) {
        const Edit *edit = edits_at(edits, i);

        weakest = edit->has_evidence ? MAX(weakest, edit->evidence) : weakest;
    }
    return weakest;
}

bool restore_run(Restore *r, bool (*put_back)(Restore *r))
{
    bool ok;

    r->entries = g_array_new(FALSE, FALSE, sizeof(RestoredEntry));
    ok = new_references_init(&r->references, r->alloc) ? put_back(r) : repair_no_memory(r->errp);
    new_references_clear(&r->references);
    g_array_unref(r->entries);
    return ok;
}

static bool restore(Restore *r)
{
    return restore_l1_tables(r) && restore_l2_tables(r) && restore_emptied(r) && restore_finish(r, QCOW2_FINDING_LEAK);
}

bool repair_restore(const RepairInput *in, const MetadataLayout *layout, Allocator *alloc, Edits *edits, GError **errp)
{
    Restore r = {
        .in = in,
        .layout = layout,
        .alloc = alloc,
        .edits = edits,
        .weakest = weakest_so_far(edits),
        .errp = errp,
    };

    if (!in->options->restore || !alloc->targets->lost.items || !alloc->targets->lost.items->len) {
        return true;
    }
    return restore_run(&r, restore);
}
