/*
 * Comparing stored with computed reference counts.
 *
 * Both sides are pieces of counters, so most of an image is compared as memory. What neither side has is skipped.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2-compare.h"

#include <string.h>

#include "block/qcow2-format.h"

typedef struct Comparison {
    const Qcow2HeaderFields *header;
    const Qcow2StoredCounts *stored;
    const Qcow2RefcountEntries *table;
    const RefMap *computed;
    Qcow2Report *report;
    uint64_t used_end; /* behind the last cluster that is used */
    bool corrupt_block_named;
} Comparison;

/* Clusters [first, first + n) in a piece of either side. */
typedef struct Stretch {
    uint64_t first;
    size_t n;
    const Counters *stored; /* NULL = unknown */
    size_t stored_at;
    const Counters *computed;
    size_t computed_at;
} Stretch;

static const Counters no_counts;

static void report_unknown(Comparison *c, const Stretch *s)
{
    int error = qcow2_stored_counts_error(c->stored, s->first);
    size_t index = s->first >> qcow2_refblock_bits(c->header);
    uint64_t offset = c->table->entries[index] & QCOW2_REFTABLE_OFFSET_MASK;

    if (offset % c->header->cluster_size && !c->corrupt_block_named) {
        c->corrupt_block_named = true;
        qcow2_report(c->report, &(Qcow2Finding){QCOW2_FINDING_REFCOUNT_BLOCK_CORRUPT,
                                                {offset, index},
                                                .place = qcow2_place(IMAGE_CHECK_STRUCTURE_REFCOUNT_TABLE,
                                                                     c->header->refcount_table_offset + index * 8,
                                                                     offset, c->header->cluster_size)});
    }
    for (size_t i = 0; i < s->n; i++) {
        qcow2_report(c->report, &(Qcow2Finding){.kind = QCOW2_FINDING_REFCOUNT_UNREADABLE,
                                                .values = {s->first + i},
                                                .texts = {g_strerror(error)},
                                                .place = qcow2_place_range(IMAGE_CHECK_STRUCTURE_REFCOUNT_BLOCK,
                                                                           (s->first + i) << c->header->cluster_bits,
                                                                           c->header->cluster_size)});
    }
}

static void report_mismatch(Comparison *c, uint64_t cluster, uint64_t has, uint64_t wants)
{
    Qcow2Finding finding = {has < wants ? QCOW2_FINDING_REFCOUNT_TOO_LOW : QCOW2_FINDING_LEAK,
                            {cluster, has, wants},
                            .place = qcow2_place_range(IMAGE_CHECK_STRUCTURE_NONE, cluster << c->header->cluster_bits,
                                                       c->header->cluster_size)};

    finding.place.has_refcount = finding.place.has_reference = true;
    finding.place.refcount = has;
    finding.place.reference = wants;
    qcow2_report(c->report, &finding);
}

static void compare_known(Comparison *c, const Stretch *s)
{
    size_t stored_used = counters_used(s->stored, s->stored_at, s->n);
    size_t computed_used = counters_used(s->computed, s->computed_at, s->n);
    size_t i = 0;

    if (stored_used || computed_used) {
        uint64_t stored_end = stored_used ? s->first + (stored_used - s->stored_at) : 0;
        uint64_t computed_end = computed_used ? s->first + (computed_used - s->computed_at) : 0;

        c->used_end = MAX(stored_end, computed_end);
    }
    while ((i += counters_mismatch(s->stored, s->stored_at + i, s->computed, s->computed_at + i, s->n - i)) < s->n) {
        uint64_t has = counters_get(s->stored, s->stored_at + i);
        uint64_t wants = counters_get(s->computed, s->computed_at + i);

        report_mismatch(c, s->first + i, has, wants);
        i++;
    }
}

/* The next stretch at or behind cluster @at in which anything is stored or computed; false when there is none. */
static bool next_stretch(const Comparison *c, uint64_t at, Stretch *s)
{
    uint64_t end = refmap_clusters(c->computed);
    uint64_t piece = at >> COUNTERS_PER_PIECE_BITS;
    const Counters *computed = refmap_next_piece(c->computed, &piece);
    uint64_t computed_from = computed ? MAX(at, piece << COUNTERS_PER_PIECE_BITS) : UINT64_MAX;
    uint64_t first = MIN(computed_from, qcow2_stored_counts_next(c->stored, at));
    uint64_t stored_mask = (UINT64_C(1) << qcow2_stored_counts_piece_bits(c->stored)) - 1;

    if (first >= end) {
        return false;
    }
    if (computed_from > first) {
        computed = &no_counts;
    }
    *s = (Stretch){
        .first = first,
        /* a stored piece is never larger than a computed one */
        .n = MIN(end, (first | stored_mask) + 1) - first,
        .stored = qcow2_stored_counts_piece(c->stored, first),
        .stored_at = first & stored_mask,
        .computed = computed,
        .computed_at = first & (COUNTERS_PER_PIECE - 1),
    };
    return true;
}

uint64_t qcow2_compare_refcounts(const Qcow2HeaderFields *header, const Qcow2StoredCounts *stored,
                                 const Qcow2RefcountEntries *table, const RefMap *computed, Qcow2Report *report)
{
    Comparison c = {.header = header, .stored = stored, .table = table, .computed = computed, .report = report};
    Stretch s;

    for (uint64_t at = 0; next_stretch(&c, at, &s); at = s.first + s.n) {
        if (s.stored) {
            compare_known(&c, &s);
        } else {
            report_unknown(&c, &s);
        }
    }
    /* the stock tool begins with cluster 0 as the highest, and knows no image without any (X122) */
    return MAX(c.used_end, 1);
}
