/*
 * Refcount blocks and their table.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/blocks.h"

#include "block/qcow2/check/refblocks.h"
#include "block/qcow2/format/format.h"

bool blocks_location(const TargetCounts *t, size_t i, uint64_t *offset)
{
    uint64_t entry = t->in->image->refcount_table.entries[i];
    const Qcow2Counting *counting = &t->in->check->counting;
    ImageCheckFindingKind kind;

    *offset = entry & QCOW2_REFTABLE_OFFSET_MASK;
    return !qcow2_refcount_entry_bad(counting, entry, &kind) &&
           !qcow2_region_beyond_end(counting, *offset, t->in->header->cluster_size);
}

/* Sets *offset to that of block @i; false where there is none, or none can be there. */
static bool block_at(const TargetCounts *t, uint64_t i, uint64_t *offset)
{
    return i < t->in->image->refcount_table.n && blocks_location(t, i, offset) && *offset;
}

/* Returns true if the block at @offset has more than one reference, or reader, be it that its count cannot say so. */
static bool is_shared(const TargetCounts *t, uint64_t offset)
{
    uint64_t cluster = offset >> t->in->header->cluster_bits;

    return refmap_get(t->counts, cluster) > 1 || qcow2_count_incomplete(&t->in->check->counting, cluster) ||
           layout_read_by_guest(t->layout, cluster);
}

bool blocks_entry_harmful(const TargetCounts *t, size_t i)
{
    uint64_t offset;

    return t->in->image->refcount_table.entries[i] && !target_counts_block_needed(t, i) &&
           (!blocks_location(t, i, &offset) || (offset && is_shared(t, offset)));
}

bool blocks_any_shared(const TargetCounts *t)
{
    bool shared = false;
    uint64_t offset;

    for (size_t i = 0; i < t->in->image->refcount_table.n && !shared; i++) {
        shared = block_at(t, i, &offset) && is_shared(t, offset);
    }
    return shared;
}

bool blocks_writable(const TargetCounts *t, uint64_t i, uint64_t *offset)
{
    uint64_t count;

    return block_at(t, i, offset) && !is_shared(t, *offset) &&
           qcow2_stored_count(t->stored, i << qcow2_refblock_bits(t->in->header), &count);
}

bool blocks_table_sound(const TargetCounts *t, bool *writable)
{
    const Qcow2HeaderFields *h = t->in->header;
    uint64_t first = h->refcount_table_offset >> h->cluster_bits;
    bool sound = h->refcount_table_clusters > 0 &&
                 !qcow2_region_beyond_end(&t->in->check->counting, h->refcount_table_offset,
                                          (uint64_t)h->refcount_table_clusters << h->cluster_bits);

    *writable = true;
    for (uint64_t i = first; sound && i < first + h->refcount_table_clusters; i++) {
        sound = refmap_get(t->layout->metadata.refs, i) == 1;
        *writable &= !layout_read_by_guest(t->layout, i) && !layout_in_uncounted(t->layout, i);
    }
    *writable &= sound;
    return sound;
}

bool blocks_must_rebuild(const TargetCounts *t)
{
    bool writable, sound = blocks_table_sound(t, &writable);
    uint64_t offset;

    for (uint64_t i = 0; sound && (i = target_counts_next_block(t, i)) < UINT64_MAX; i++) {
        sound = blocks_writable(t, i, &offset) && refmap_get(t->counts, offset >> t->in->header->cluster_bits);
    }
    return !sound;
}

/* ---- changing counts ---- */

static bool change_counts(const Edit *edit, uint8_t *bytes)
{
    const TargetCounts *t = edit->opaque;
    const RefMap *only = edit->mode == BLOCKS_RAISE_RESERVED ? t->reserved->clusters : NULL;
    unsigned bits = qcow2_refblock_bits(t->in->header);
    uint64_t begin = edit->key << bits, n;
    CountRun run;

    for (uint64_t at = begin; target_counts_next_run(t, at, &run) && run.first >> bits == edit->key;
         at = run.first + run.n) {
        uint64_t count = target_counts_final(t, &run);

        for (uint64_t i = run.first; i < run.first + run.n; i += n) {
            n = only ? 1 : run.n;
            if ((edit->mode == BLOCKS_SETTLE || count > run.stored) && (!only || refmap_get(only, i))) {
                qcow2_pack_refcounts(bytes, t->in->header->refcount_order, i - begin, n, count);
            }
        }
    }
    return true;
}

void blocks_add_edit(const TargetCounts *t, Edits *edits, uint64_t index, BlocksChange change,
                     ImageCheckFindingKind why)
{
    bool lower = change == BLOCKS_SETTLE;
    Edit edit = {
        .size = t->in->header->cluster_size,
        .structure = IMAGE_CHECK_STRUCTURE_REFCOUNT_BLOCK,
        .why = why,
        .what = lower ? "lower reference counts" : "raise reference counts",
        .has_evidence = change == BLOCKS_RAISE_RESERVED && t->has_evidence,
        .evidence = t->evidence,
        .change = change_counts,
        .opaque = (void *)t,
        .key = index,
        .mode = change,
    };

    if (blocks_writable(t, index, &edit.offset)) {
        edits_add(edits, lower ? EDIT_PHASE_LOWER : EDIT_PHASE_RAISE, &edit);
    }
}
