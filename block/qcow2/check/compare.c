/*
 * Comparing stored with computed reference counts.
 *
 * Both sides are pieces of counters, so most of an image is compared as memory. What neither side has is skipped.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/check/compare.h"

#include <assert.h>
#include <string.h>

#include "block/qcow2/format/format.h"
#include "block/qcow2/load/count-pairs.h"

typedef struct Comparison {
    const Qcow2HeaderFields *header;
    const Qcow2StoredCounts *stored;
    Qcow2CountPairs pairs;
    Qcow2Report *report;
    uint64_t used_end;   /* behind the last cluster that is used */
    uint64_t stored_end; /* the same by stored counts */
    GHashTable *leaks;   /* first pieces of blocks that were found where nothing is computed, to BlockLeaks */
} Comparison;

/* What a whole block of stored counts comes to where nothing is computed. */
typedef struct BlockLeaks {
    uint64_t leaks;
    uint64_t used_end; /* behind the last count that is not 0 */
} BlockLeaks;

static size_t per_block(const Comparison *c)
{
    return (size_t)1 << qcow2_refblock_bits(c->header);
}

/* Names the block of @cluster if it is unaligned: the first such block only, as the stock tool does. */
static void report_unaligned_block(Comparison *c, uint64_t cluster)
{
    uint64_t index, offset;

    if (!c->report->count_by_kind[QCOW2_FINDING_REFCOUNT_BLOCK_CORRUPT] &&
        qcow2_stored_counts_unaligned(c->stored, cluster, &index, &offset)) {
        qcow2_report(c->report, &(Qcow2Finding){QCOW2_FINDING_REFCOUNT_BLOCK_CORRUPT,
                                                {offset, index},
                                                .location = qcow2_location(IMAGE_CHECK_STRUCTURE_REFCOUNT_TABLE,
                                                                           c->header->refcount_table_offset + index * 8,
                                                                           offset, c->header->cluster_size)});
    }
}

static void note_computed_use(Comparison *c, const Qcow2CountStretch *s)
{
    size_t used = counters_used(s->other, s->other_at, s->n);

    if (used) {
        c->used_end = s->first + (used - s->other_at);
    }
}

static void report_unknown(Comparison *c, const Qcow2CountStretch *s)
{
    int error = qcow2_stored_counts_error(c->stored, s->first);

    if (qcow2_stored_counts_block_unknown(c->stored, s->first)) {
        /* one finding is about the table, and there is nothing more to say of each cluster */
        note_computed_use(c, s);
        return;
    }
    report_unaligned_block(c, s->first);
    qcow2_report_clusters(
        c->report,
        &(Qcow2Finding){.kind = QCOW2_FINDING_REFCOUNT_UNREADABLE,
                        .values = {s->first},
                        .texts = {g_strerror(error)},
                        .location = qcow2_location_range(IMAGE_CHECK_STRUCTURE_REFCOUNT_BLOCK,
                                                         s->first << c->header->cluster_bits, c->header->cluster_size)},
        s->n);
}

/* The same as compare_known(), without messages. */
static void count_mismatches(Comparison *c, const Qcow2CountStretch *s)
{
    size_t n;

    for (size_t i = 0; i < s->n; i += n) {
        uint64_t has = counters_get(s->stored, s->stored_at + i);
        uint64_t wants = counters_get(s->other, s->other_at + i);

        n = MIN(counters_stretch(s->stored, s->stored_at + i, s->stored_at + s->n),
                counters_stretch(s->other, s->other_at + i, s->other_at + s->n));
        if (has != wants) {
            qcow2_count_unreported(c->report, has < wants ? QCOW2_FINDING_REFCOUNT_TOO_LOW : QCOW2_FINDING_LEAK, n);
        }
    }
}

static const BlockLeaks *leaks_of(Comparison *c, const Qcow2CountStretch *s)
{
    uint64_t per_piece = UINT64_C(1) << qcow2_stored_counts_piece_bits(c->stored);
    BlockLeaks *found = g_hash_table_lookup(c->leaks, s->stored);
    uint64_t n;

    if (found) {
        return found;
    }
    found = g_new0(BlockLeaks, 1);
    for (uint64_t i = 0; i < per_block(c); i += n) {
        const Counters *piece = qcow2_stored_counts_piece(c->stored, s->first + i);
        size_t at = i & (per_piece - 1);

        n = counters_stretch(piece, at, per_piece);
        if (counters_get(piece, at)) {
            found->leaks += n;
            found->used_end = i + n;
        }
    }
    g_hash_table_insert(c->leaks, (gpointer)s->stored, found);
    return found;
}

/*
 * Passes a whole block of stored counts where nothing is computed; false where it has to be looked at count by count. A
 * table may name the same block any number of times, for clusters that are all in one hole of the file.
 */
static bool pass_unused_block(Comparison *c, Qcow2CountStretch *s)
{
    const BlockLeaks *found;

    if (s->first & (per_block(c) - 1) || qcow2_count_pairs_unused(&c->pairs, s) < per_block(c)) {
        return false;
    }
    if (!s->stored) {
        s->n = per_block(c);
        report_unknown(c, s);
        return true;
    }
    found = leaks_of(c, s);
    if (found->leaks && !qcow2_report_full(c->report)) {
        return false;
    }
    s->n = per_block(c);
    qcow2_count_unreported(c->report, QCOW2_FINDING_LEAK, found->leaks);
    if (found->leaks) {
        c->used_end = c->stored_end = s->first + found->used_end;
    }
    return true;
}

/* Of @n clusters from @cluster on. */
static void report_mismatch(Comparison *c, uint64_t cluster, uint64_t n, uint64_t has, uint64_t wants)
{
    Qcow2Finding finding = {has < wants ? QCOW2_FINDING_REFCOUNT_TOO_LOW : QCOW2_FINDING_LEAK,
                            {cluster, has, wants},
                            .location =
                                qcow2_location_range(IMAGE_CHECK_STRUCTURE_NONE, cluster << c->header->cluster_bits,
                                                     c->header->cluster_size)};

    finding.location.has_refcount = finding.location.has_reference = true;
    finding.location.refcount = has;
    finding.location.reference = wants;
    qcow2_report_clusters(c->report, &finding, n);
}

static void compare_known(Comparison *c, const Qcow2CountStretch *s)
{
    size_t stored_used = counters_used(s->stored, s->stored_at, s->n);
    size_t computed_used = counters_used(s->other, s->other_at, s->n);
    size_t i = 0;

    assert(s->n <= COUNTERS_PER_PIECE);
    if (stored_used || computed_used) {
        uint64_t stored_end = stored_used ? s->first + (stored_used - s->stored_at) : 0;
        uint64_t computed_end = computed_used ? s->first + (computed_used - s->other_at) : 0;

        c->used_end = MAX(stored_end, computed_end);
        c->stored_end = MAX(c->stored_end, stored_end);
    }
    if (qcow2_report_full(c->report)) {
        count_mismatches(c, s);
        return;
    }
    while ((i += counters_mismatch(s->stored, s->stored_at + i, s->other, s->other_at + i, s->n - i)) < s->n) {
        uint64_t has, wants;
        size_t n = qcow2_count_stretch_same(s, i, &has, &wants);

        report_mismatch(c, s->first + i, n, has, wants);
        i += n;
    }
}

uint64_t qcow2_compare_refcounts(const Qcow2HeaderFields *header, const Qcow2StoredCounts *stored,
                                 const RefMap *computed, Qcow2Report *report)
{
    g_autoptr(GHashTable) leaks = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    Comparison c = {
        .header = header,
        .stored = stored,
        .report = report,
        .leaks = leaks,
        .pairs = qcow2_count_pairs(stored, computed, UINT64_MAX),
    };
    Qcow2CountStretch s;

    for (uint64_t at = 0; qcow2_count_pairs_next(&c.pairs, at, &s); at = s.first + s.n) {
        if (pass_unused_block(&c, &s)) {
            continue;
        }
        if (s.stored) {
            compare_known(&c, &s);
        } else {
            report_unknown(&c, &s);
        }
    }
    report->stored_end = c.stored_end;
    /* the stock tool begins with cluster 0 as the highest, and knows no image without any (X122) */
    return MAX(c.used_end, 1);
}
