/*
 * The reference counts that an image is to have.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/target-counts.h"

#include <assert.h>

#include "block/qcow2/repair/orphaned.h"
#include "util/number.h"

static const Counters no_counts;

/* ---- stored and target counts side by side ---- */

/* Clusters from one on that are in one piece of either side. */
typedef struct View {
    uint64_t n;
    const Counters *stored; /* NULL: unknown */
    size_t stored_at;
    const Counters *target;
    size_t target_at;
} View;

/* What there is at @cluster, up to @end; both sides are @no_counts where there is nothing for many clusters. */
static View view_at(const TargetCounts *t, uint64_t cluster, uint64_t end)
{
    uint64_t index = cluster >> COUNTERS_PER_PIECE_BITS;
    uint64_t stored_mask = (UINT64_C(1) << qcow2_stored_counts_piece_bits(t->stored)) - 1;
    const Counters *target = refmap_next_piece(t->counts, &index);
    uint64_t target_from = target ? index << COUNTERS_PER_PIECE_BITS : UINT64_MAX;
    uint64_t stored_from = qcow2_stored_counts_next(t->stored, cluster);
    View v = {.stored = &no_counts, .target = &no_counts};

    if (MAX(target_from, cluster) > cluster && stored_from > cluster) {
        v.n = MIN(end, MIN(target_from, stored_from)) - cluster;
        return v;
    }
    if (target_from <= cluster) {
        v.target = target;
        v.target_at = cluster & (COUNTERS_PER_PIECE - 1);
    }
    v.stored = qcow2_stored_counts_piece(t->stored, cluster);
    v.stored_at = cluster & stored_mask;
    /* a stored piece is never larger than a target one */
    v.n = MIN(end, (cluster | stored_mask) + 1) - cluster;
    return v;
}

static uint64_t target_of(const View *v, uint64_t i)
{
    return counters_get(v->target, v->target_at + i);
}

/* How many clusters from @i on, below @end, have the same two counts as it. */
static uint64_t same_counts(const View *v, uint64_t i, uint64_t end)
{
    uint64_t target = target_of(v, i);
    uint64_t stored = v->stored ? counters_get(v->stored, v->stored_at + i) : 0;
    uint64_t at = i;

    while (at < end && target_of(v, at) == target &&
           (!v->stored || counters_get(v->stored, v->stored_at + at) == stored)) {
        uint64_t step = counters_stretch(v->target, v->target_at + at, v->target_at + end);

        if (v->stored) {
            step = MIN(step, counters_stretch(v->stored, v->stored_at + at, v->stored_at + end));
        }
        at += step;
    }
    return at - i;
}

bool target_counts_next_run(const TargetCounts *t, uint64_t at, CountRun *run)
{
    uint64_t end = refmap_clusters(t->counts);

    while (at < end) {
        View v = view_at(t, at, end);
        uint64_t i = v.stored
                         ? counters_mismatch(v.stored, v.stored_at, v.target, v.target_at, MIN(v.n, COUNTERS_PER_PIECE))
                         : 0;

        if (v.stored == &no_counts && v.target == &no_counts) {
            i = v.n;
        }
        if (i < v.n) {
            *run = (CountRun){
                .first = at + i,
                .n = same_counts(&v, i, v.n),
                .stored = v.stored ? counters_get(v.stored, v.stored_at + i) : 0,
                .target = target_of(&v, i),
                .known = v.stored != NULL,
            };
            return true;
        }
        at += v.n;
    }
    return false;
}

uint64_t target_counts_final(const TargetCounts *t, const CountRun *run)
{
    return (run->stored < run->target ? t->may_raise : t->may_lower) ? run->target : run->stored;
}

uint64_t target_counts_stretch(const TargetCounts *t, uint64_t cluster)
{
    View v = view_at(t, cluster, MAX(refmap_clusters(t->counts), cluster + 1));

    return counters_stretch(v.target, v.target_at, v.target_at + v.n);
}

/* ---- blocks ---- */

uint64_t target_counts_blocks_end(const TargetCounts *t)
{
    unsigned bits = qcow2_refblock_bits(t->in->header);

    return (refmap_clusters(t->counts) + (UINT64_C(1) << bits) - 1) >> bits;
}

bool target_counts_block_needed(const TargetCounts *t, uint64_t index)
{
    unsigned bits = qcow2_refblock_bits(t->in->header);
    uint64_t at = index << bits, end = (index + 1) << bits;

    while (at < end) {
        uint64_t piece_index = at >> COUNTERS_PER_PIECE_BITS;
        const Counters *piece = refmap_next_piece(t->counts, &piece_index);
        uint64_t from = piece_index << COUNTERS_PER_PIECE_BITS;
        size_t first;

        if (!piece || from >= end) {
            return false;
        }
        at = MAX(at, from);
        first = at & (COUNTERS_PER_PIECE - 1);
        if (counters_used(piece, first, MIN(end - at, COUNTERS_PER_PIECE - first))) {
            return true;
        }
        at = from + COUNTERS_PER_PIECE;
    }
    return false;
}

void target_counts_fill_block(const TargetCounts *t, uint64_t index, uint8_t *bytes)
{
    unsigned bits = qcow2_refblock_bits(t->in->header);
    uint64_t from = index << bits, to = MIN((index + 1) << bits, refmap_clusters(t->counts));
    uint64_t max = t->in->check->counting.max;

    for (uint64_t at = from; at < to;) {
        uint64_t piece_index = at >> COUNTERS_PER_PIECE_BITS;
        const Counters *piece = refmap_next_piece(t->counts, &piece_index);
        uint64_t first = MAX(at, piece_index << COUNTERS_PER_PIECE_BITS);
        size_t in_piece = first & (COUNTERS_PER_PIECE - 1);
        uint64_t end = MIN(to, (first | (COUNTERS_PER_PIECE - 1)) + 1);

        if (!piece || first >= to) {
            break;
        }
        for (uint64_t i = first; i < end;) {
            size_t k = in_piece + (i - first);
            size_t n = counters_stretch(piece, k, k + (end - i));

            qcow2_pack_refcounts(bytes, t->in->header->refcount_order, i - from, n, MIN(counters_get(piece, k), max));
            i += n;
        }
        at = end;
    }
}

/* ---- leaked clusters that stay ---- */

/* The references to @cluster that were computed. */
static uint64_t references(const TargetCounts *t, uint64_t cluster)
{
    return refmap_get(t->counts, cluster) - (t->kept ? refmap_get(t->kept, cluster) : 0);
}

bool target_counts_wrong(const TargetCounts *t, uint64_t cluster)
{
    uint64_t stored;

    return qcow2_stored_count(t->stored, cluster, &stored) && stored != references(t, cluster);
}

/* How many references to @cluster are leaked, those that stay included. */
static uint64_t leaked_references(const TargetCounts *t, uint64_t cluster)
{
    uint64_t computed = references(t, cluster), stored;

    if (!qcow2_stored_count(t->stored, cluster, &stored)) {
        stored = cluster < t->file_clusters; /* where nothing is known of the count, there may be something */
    }
    return stored > computed ? stored - computed : 0;
}

/* Lets leaked references stay: all, or those to the clusters of @lost. What this repair has set free does not stay. */
static bool keep_leaks(TargetCounts *t, const MetadataLayout *layout, const RefMap *lost)
{
    /* nothing is lowered where leaks are not to be repaired at all */
    bool may_lower_used = !lost && repair_wants(t->in, QCOW2_FINDING_LEAK);
    CountRun run;

    t->kept = refmap_new(refmap_clusters(t->counts));
    for (uint64_t at = 0; target_counts_next_run(t, at, &run); at = run.first + run.n) {
        for (uint64_t i = run.first; i < run.first + run.n; i++) {
            uint64_t leaked = leaked_references(t, i);

            leaked = t->in->first ? MIN(leaked, leaked_references(t->in->first, i)) : leaked;
            if (!leaked || (may_lower_used && layout_in_use(layout, i)) || (lost && !refmap_get(lost, i))) {
                continue;
            }
            if (!refmap_add(t->counts, i, 1, leaked) || !refmap_add(t->kept, i, 1, leaked)) {
                return false;
            }
            t->leaks_kept++;
        }
    }
    return true;
}

/* Lets leaked clusters stay for which there is evidence that they are the last copy of something. */
static bool keep_lost(TargetCounts *t, Qcow2Check *check, const MetadataLayout *layout, GError **errp)
{
    if (!check->report.leaks) {
        return true;
    }
    if (!qcow2_find_lost_data(check, &t->lost, errp)) {
        return false;
    }
    t->keep_leaks = t->lost.everything;
    return !(t->lost.everything || t->lost.n_kept) || keep_leaks(t, layout, t->lost.everything ? NULL : t->lost.kept) ||
           repair_no_memory(errp);
}

bool target_counts_init(TargetCounts *t, const RepairInput *in, Qcow2Check *check, const MetadataLayout *layout,
                        GError **errp)
{
    bool careful = !in->options->free_lost;

    *t = (TargetCounts){
        .in = in,
        .stored = in->check->stored,
        .counts = in->check->counting.refs,
        .file_clusters = layout->file_clusters,
        .may_raise = in->options->all && repair_wants(in, QCOW2_FINDING_REFCOUNT_TOO_LOW),
        .may_lower = true,
        .orphaned = careful ? repair_orphaned(in, layout) : NULL,
        .snapshot_unlisted = careful && repair_snapshot_unlisted(in, layout),
    };
    assert(check == in->check);
    t->keep_leaks =
        t->orphaned || (careful && repair_may_cause_false_leaks(in)) || !repair_wants(in, QCOW2_FINDING_LEAK);
    if (t->keep_leaks) {
        return keep_leaks(t, layout, NULL) || repair_no_memory(errp);
    }
    return !careful || keep_lost(t, check, layout, errp);
}

void target_counts_clear(TargetCounts *t)
{
    g_clear_pointer(&t->kept, refmap_free);
    qcow2_lost_data_clear(&t->lost);
}
