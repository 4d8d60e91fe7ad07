/*
 * Reference counts in the blocks that there are.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/passes.h"

#include "block/qcow2/check/compare.h"

/* ---- reporting ---- */

/* Reports the clusters of @run whose counts were wrong when the repair began, too. */
static void report_run(const RepairInput *in, const CountRun *run, Qcow2Report *report)
{
    for (uint64_t i = run->first; i < run->first + run->n; i++) {
        Qcow2Finding finding = {run->stored < run->target ? QCOW2_FINDING_REFCOUNT_TOO_LOW : QCOW2_FINDING_LEAK,
                                {i, run->stored, run->target},
                                .location =
                                    qcow2_location_range(IMAGE_CHECK_STRUCTURE_NONE, i << in->header->cluster_bits,
                                                         in->header->cluster_size)};
        uint64_t stored;

        if (qcow2_stored_count(in->first->stored, i, &stored) && stored != target_counts_computed(in->first, i)) {
            qcow2_report(report, &finding);
        }
    }
}

/* Reports once more which counts are wrong, of those that were when the repair began, and which are repaired. */
static void report_again(const RepairInput *in, const TargetCounts *targets)
{
    Qcow2Report again = {
        .messages = in->messages,
        .max_messages = in->options->check->max_messages,
        .written = in->report->written,
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

bool repair_refcounts(const RepairInput *in, const MetadataLayout *layout, Allocator *alloc, Edits *edits,
                      GError **errp)
{
    uint64_t last[2] = {UINT64_MAX, UINT64_MAX}; /* blocks with an edit that lowers, and one that raises */
    CountRun run;

    if (repair_first_time(in, "counts") && (in->report->corruptions || in->report->leaks) &&
        !alloc->reserved->rebuilt) {
        report_again(in, alloc->targets);
    }
    for (uint64_t at = 0; target_counts_next_run(alloc->targets, at, &run); at = run.first + run.n) {
        uint64_t count = target_counts_final(alloc->targets, &run);
        uint64_t block = run.first >> qcow2_refblock_bits(in->header);
        bool raise = count > run.stored;
        ImageCheckFindingKind fault = raise ? QCOW2_FINDING_REFCOUNT_TOO_LOW : QCOW2_FINDING_LEAK;

        if (run.known && count != run.stored && last[raise] != block) {
            blocks_add_edit(alloc->targets, edits, block, raise ? BLOCKS_RAISE : BLOCKS_SETTLE,
                            repair_why(in, edits, QCOW2_FINDING_BIT(fault)));
            last[raise] = block;
        }
    }
    return true;
}
