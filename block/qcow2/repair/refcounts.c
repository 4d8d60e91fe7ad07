/*
 * Reference counts in the blocks that there are.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/refcounts.h"

#include "block/qcow2/check/compare.h"

/* ---- reporting ---- */

static void report_run(const RepairInput *in, const CountRun *run, Qcow2Report *report)
{
    for (uint64_t i = run->first; i < run->first + run->n; i++) {
        Qcow2Finding finding = {run->stored < run->target ? QCOW2_FINDING_REFCOUNT_TOO_LOW : QCOW2_FINDING_LEAK,
                                {i, run->stored, run->target},
                                .location =
                                    qcow2_location_range(IMAGE_CHECK_STRUCTURE_NONE, i << in->header->cluster_bits,
                                                         in->header->cluster_size)};

        if (target_counts_wrong(in->first, i)) {
            qcow2_report(report, &finding);
        }
    }
}

void refcounts_report_again(const RepairInput *in, const TargetCounts *targets)
{
    Qcow2Report again = {
        .messages = in->messages,
        .max_messages = in->options->check->max_messages,
        .repairing = (targets->may_raise ? QCOW2_FINDING_BIT(QCOW2_FINDING_REFCOUNT_TOO_LOW) : 0) |
                     (targets->may_lower ? QCOW2_FINDING_BIT(QCOW2_FINDING_LEAK) : 0),
    };
    CountRun run;

    if (!in->first) {
        qcow2_compare_refcounts(in->header, targets->stored, targets->counts, &again);
    }
    for (uint64_t at = 0; in->first && target_counts_next_run(targets, at, &run); at = run.first + run.n) {
        if (run.known) {
            report_run(in, &run, &again);
        }
    }
    qcow2_report_summary(&again);
}

/* ---- edits ---- */

static void change_counts(const Edit *edit, uint8_t *bytes, bool raise_only)
{
    const CountedImage *b = edit->opaque;
    unsigned bits = qcow2_refblock_bits(b->in->header);
    uint64_t end = (edit->key + 1) << bits;
    CountRun run;

    for (uint64_t at = edit->key << bits; target_counts_next_run(b->targets, at, &run) && run.first < end;
         at = run.first + run.n) {
        uint64_t count = target_counts_final(b->targets, &run);

        if (!raise_only || count > run.stored) {
            blocks_set_counts(b, bytes, run.first, MIN(run.first + run.n, end) - run.first, count);
        }
    }
}

static bool raise_counts(const Edit *edit, uint8_t *bytes)
{
    change_counts(edit, bytes, true);
    return true;
}

static bool settle_counts(const Edit *edit, uint8_t *bytes)
{
    change_counts(edit, bytes, false);
    return true;
}

/* How many counts of a block become higher and lower. */
typedef struct BlockChanges {
    uint64_t index;
    uint64_t raised;
    uint64_t lowered;
} BlockChanges;

static void add_block(const CountedImage *b, const BlockChanges *changes, Edits *edits)
{
    Edit edit = {
        .size = b->in->header->cluster_size,
        .structure = IMAGE_CHECK_STRUCTURE_REFCOUNT_BLOCK,
        .opaque = (void *)b,
        .key = changes->index,
    };

    if ((!changes->raised && !changes->lowered) || !blocks_writable(b, changes->index) ||
        !blocks_location(b, changes->index, &edit.offset)) {
        return;
    }
    if (changes->raised) {
        edit.why = repair_reason(b->in, edits, QCOW2_FINDING_REFCOUNT_TOO_LOW);
        edit.what = "raise reference counts";
        edit.count = changes->raised;
        edit.change = raise_counts;
        edits_add(edits, EDIT_PHASE_RAISE, &edit);
    }
    if (changes->lowered) {
        edit.why = repair_reason(b->in, edits, QCOW2_FINDING_LEAK);
        edit.what = "lower reference counts";
        edit.count = changes->lowered;
        edit.change = settle_counts;
        edits_add(edits, EDIT_PHASE_LOWER, &edit);
    }
}

bool repair_refcounts(const RepairInput *in, const MetadataLayout *layout, Allocator *alloc, Edits *edits,
                      GError **errp)
{
    unsigned bits = qcow2_refblock_bits(in->header);
    BlockChanges changes = {0};
    CountRun run;

    for (uint64_t at = 0; target_counts_next_run(alloc->targets, at, &run); at = run.first + run.n) {
        uint64_t count = target_counts_final(alloc->targets, &run);

        if (!run.known || count == run.stored) {
            continue;
        }
        if (run.first >> bits != changes.index) {
            add_block(&alloc->image, &changes, edits);
            changes = (BlockChanges){.index = run.first >> bits};
        }
        *(count > run.stored ? &changes.raised : &changes.lowered) += run.n;
    }
    add_block(&alloc->image, &changes, edits);
    return true;
}
