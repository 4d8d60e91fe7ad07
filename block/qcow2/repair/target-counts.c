/*
 * The reference counts that an image is to have.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/target-counts.h"

#include <assert.h>

#include "block/qcow2/load/count-pairs.h"
#include "util/number.h"

/* ---- stored and target counts side by side ---- */

bool target_counts_next_run(const TargetCounts *t, uint64_t at, CountRun *run)
{
    Qcow2CountPairs pairs = qcow2_count_pairs(t->stored, t->counts, UINT64_MAX);
    Qcow2CountStretch s;

    for (; qcow2_count_pairs_next(&pairs, at, &s); at = s.first + s.n) {
        size_t i = s.stored ? counters_mismatch(s.stored, s.stored_at, s.other, s.other_at, s.n) : 0;

        if (i < s.n) {
            *run = (CountRun){.first = s.first + i, .known = s.stored != NULL};
            run->n = qcow2_count_stretch_same(&s, i, &run->stored, &run->target);
            assert(!run->known || run->stored != run->target);
            return true;
        }
    }
    return false;
}

uint64_t target_counts_final(const TargetCounts *t, const CountRun *run)
{
    return (run->stored < run->target ? t->may_raise : t->may_lower) ? run->target : run->stored;
}

/* ---- blocks ---- */

uint64_t target_counts_blocks_end(const TargetCounts *t)
{
    return DIV_ROUND_UP(refmap_clusters(t->counts), UINT64_C(1) << qcow2_refblock_bits(t->in->header));
}

uint64_t target_counts_next_block(const TargetCounts *t, uint64_t index)
{
    unsigned bits = qcow2_refblock_bits(t->in->header);
    RefMapRun run;

    return refmap_next_run(t->counts, index << bits, UINT64_MAX, &run) ? run.first >> bits : UINT64_MAX;
}

bool target_counts_block_needed(const TargetCounts *t, uint64_t index)
{
    return target_counts_next_block(t, index) == index;
}

void target_counts_fill_block(const TargetCounts *t, uint64_t index, uint8_t *bytes)
{
    unsigned bits = qcow2_refblock_bits(t->in->header);
    uint64_t from = index << bits, to = (index + 1) << bits;
    RefMapRun run;

    for (uint64_t at = from; refmap_next_run(t->counts, at, to, &run); at = run.first + run.n) {
        qcow2_pack_refcounts(bytes, t->in->header->refcount_order, run.first - from, run.n,
                             MIN(run.count, t->in->check->counting.max));
    }
}

/* ---- all of it ---- */

uint64_t target_counts_computed(const TargetCounts *t, uint64_t cluster)
{
    uint64_t kept = t->kept ? refmap_get(t->kept, cluster) : 0, count = refmap_get(t->counts, cluster);

    assert(kept <= count);
    return count - kept;
}

void target_counts_init(TargetCounts *t, const RepairInput *in, const MetadataLayout *layout)
{
    *t = (TargetCounts){
        .in = in,
        .stored = in->check->stored,
        .counts = in->check->counting.refs,
        .layout = layout,
        .may_raise = in->options->all && repair_wants(in, QCOW2_FINDING_REFCOUNT_TOO_LOW),
        .may_lower = true,
    };
}

void target_counts_clear(TargetCounts *t)
{
    g_clear_pointer(&t->kept, refmap_free);
    qcow2_lost_data_clear(&t->lost);
}
