/*
 * Counting references to regions of the file.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/check/count.h"

#include <assert.h>

#include "block/limits.h"
#include "block/qcow2/format/format.h"
#include "block/qcow2/load/image.h"
#include "util/number.h"

void qcow2_counting_init(Qcow2Counting *c, const Qcow2HeaderFields *h, uint64_t length)
{
    *c = (Qcow2Counting){
        .header = h,
        .file_end = qcow2_file_end(length),
        .max = qcow2_refcount_max(h),
        .beyond = UINT64_MAX,
    };
    c->refs = refmap_new(DIV_ROUND_UP(c->file_end, h->cluster_size));
}

void qcow2_counting_clear(Qcow2Counting *c)
{
    g_clear_pointer(&c->refs, refmap_free);
    g_clear_pointer(&c->overflowed, g_hash_table_destroy);
    g_clear_pointer(&c->blocks_left_out, g_hash_table_destroy);
}

/* A size with its highest bit set is a negative one to the stock tool, which then counts nothing. */
static bool region_empty(uint64_t size)
{
    return size == 0 || size > INT64_MAX;
}

bool qcow2_region_beyond_end(const Qcow2Counting *c, uint64_t offset, uint64_t size)
{
    uint64_t end;

    if (region_empty(size)) {
        return false;
    }
    if (!add_u64(offset, size, &end)) {
        return true;
    }
    return end > c->file_end && end - c->file_end >= c->header->cluster_size;
}

bool qcow2_region_clusters(const Qcow2Counting *c, uint64_t offset, uint64_t size, uint64_t *first, uint64_t *n)
{
    if (region_empty(size) || qcow2_region_beyond_end(c, offset, size)) {
        return false;
    }
    *first = offset >> c->header->cluster_bits;
    *n = ((offset + size - 1) >> c->header->cluster_bits) - *first + 1;
    return true;
}

bool qcow2_count_region(Qcow2Counting *c, uint64_t offset, uint64_t size, uint64_t weight)
{
    uint64_t first, n;

    if (!qcow2_region_clusters(c, offset, size, &first, &n)) {
        return true;
    }
    return n <= LIMIT_REGION_CLUSTERS && refmap_add(c->refs, first, n, weight);
}

void qcow2_note_beyond_end(Qcow2Counting *c, uint64_t offset)
{
    uint64_t first = __atomic_load_n(&c->beyond, __ATOMIC_RELAXED);

    while (offset < first &&
           !__atomic_compare_exchange_n(&c->beyond, &first, offset, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        continue;
    }
}

bool qcow2_count_reference(Qcow2Counting *c, uint64_t offset, uint64_t size, uint64_t weight)
{
    if (qcow2_region_beyond_end(c, offset, size)) {
        qcow2_note_beyond_end(c, offset);
        return true;
    }
    return qcow2_count_region(c, offset, size, weight);
}

/* Remembers which counters of @piece, number @index, are too great, from counter @i on. */
static void note_overflows(Qcow2Counting *c, const Counters *piece, uint64_t index, size_t i)
{
    if (!c->overflowed) {
        c->overflowed = g_hash_table_new_full(hash_u64, g_int64_equal, g_free, g_free);
    }
    while ((i = counters_find_above(piece, COUNTERS_PER_PIECE, i, c->max)) < COUNTERS_PER_PIECE) {
        uint64_t *cluster = g_new(uint64_t, 1);

        c->overflows += counters_get(piece, i) - c->max;
        *cluster = (index << COUNTERS_PER_PIECE_BITS) + i++;
        g_hash_table_insert(c->overflowed, cluster, g_new0(uint64_t, 1));
    }
}

void qcow2_counting_finish(Qcow2Counting *c)
{
    uint64_t index = 0;

    for (Counters *piece; (piece = refmap_next_piece(c->refs, &index)); index++) {
        size_t i = counters_find_above(piece, COUNTERS_PER_PIECE, 0, c->max);

        if (i < COUNTERS_PER_PIECE) {
            note_overflows(c, piece, index, i);
            counters_clamp(piece, COUNTERS_PER_PIECE, c->max);
        }
    }
}

/* The references so far to @cluster when it has too many of them, else NULL. */
static uint64_t *overflow_of(const Qcow2Counting *c, uint64_t cluster)
{
    return c->overflowed ? g_hash_table_lookup(c->overflowed, &cluster) : NULL;
}

static void report_overflow(Qcow2Counting *c, const Qcow2Location *location, uint64_t cluster, Qcow2Report *report)
{
    Qcow2Finding finding = {
        QCOW2_FINDING_REFCOUNT_OVERFLOW, {cluster << c->header->cluster_bits}, .location = *location};

    finding.location.cluster_offset = finding.values[0];
    finding.location.cluster_size = c->header->cluster_size;
    qcow2_report(report, &finding);
}

void qcow2_report_region(Qcow2Counting *c, const Qcow2Location *location, Qcow2Report *report)
{
    uint64_t offset = location->cluster_offset, size = location->cluster_size;
    uint64_t last;

    if (qcow2_region_beyond_end(c, offset, size)) {
        qcow2_report(report, &(Qcow2Finding){QCOW2_FINDING_REGION_BEYOND_END, {offset, size}, .location = *location});
        return;
    }
    if (!c->overflowed || region_empty(size) || qcow2_report_full(report)) {
        return;
    }
    last = (offset + size - 1) >> c->header->cluster_bits;
    assert(last < refmap_clusters(c->refs));
    for (uint64_t i = offset >> c->header->cluster_bits; i <= last && !qcow2_report_full(report); i++) {
        uint64_t *references = overflow_of(c, i);

        report->examined++;
        if (references && ++*references > c->max && c->overflows > 0) {
            c->overflows--;
            report_overflow(c, location, i, report);
        }
    }
}

void qcow2_report_overflows(const Qcow2Counting *c, Qcow2Report *report)
{
    /* none, unless the report was full, or a table has changed since it was counted */
    qcow2_count_unreported(report, QCOW2_FINDING_REFCOUNT_OVERFLOW, c->overflows);
}

bool qcow2_region_reportable(const Qcow2Counting *c, uint64_t offset, uint64_t size)
{
    if (qcow2_region_beyond_end(c, offset, size)) {
        return true;
    }
    if (!c->overflowed || region_empty(size)) {
        return false;
    }
    for (uint64_t i = offset >> c->header->cluster_bits; i <= (offset + size - 1) >> c->header->cluster_bits; i++) {
        if (overflow_of(c, i)) {
            return true;
        }
    }
    return false;
}
