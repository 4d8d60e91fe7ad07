/*
 * Leaked clusters that look like refcount blocks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/lost-blocks.h"

#include "block/qcow2/format/format.h"
#include "block/qcow2/inspect/users.h"
#include "util/number.h"

#define MAX_READS      512
#define MAX_BYTES      (UINT64_C(64) << 20)
#define MAX_MISSES     8  /* in a row of leaked clusters, before the rest of it is passed over */
#define MAX_GAPS       16 /* missing refcount blocks that are looked for */
#define COUNTS_AT_ONCE 4096

typedef struct Search {
    Qcow2Check *check;
    const Qcow2HeaderFields *header;
    GArray *leaks;   /* Qcow2ClusterRange, in order: clusters that nothing uses */
    GArray *missing; /* uint64_t: indexes of refcount blocks that are not there, and that would count something */
    uint8_t *cluster;
    unsigned reads;
} Search;

/* ---- which clusters are leaked ---- */

static void collect_leaks(Search *s)
{
    const Qcow2FindingRecords *records = qcow2_collector_records(s->check->collector);

    for (guint i = 0; i < records->n; i++) {
        Qcow2FindingRecord r = qcow2_finding_records_at(records, i);
        Qcow2ClusterRange range = {
            .first = r.location.cluster_offset >> s->header->cluster_bits,
            .n = r.location.cluster_size >> s->header->cluster_bits,
        };

        if (r.kind == QCOW2_FINDING_LEAK && !r.location.reference && range.n) {
            g_array_append_val(s->leaks, range);
        }
    }
}

/* ---- refcount blocks ---- */

static bool has_counts(const Search *s, uint64_t first, uint64_t n)
{
    const RefMap *refs = s->check->counting.refs;
    RefMapRun run;

    return refmap_next_run(refs, first, MIN(first + n, refmap_clusters(refs)), &run);
}

static void collect_missing_blocks(Search *s)
{
    const Qcow2RefcountEntries *table = &s->check->image->refcount_table;
    unsigned bits = qcow2_refblock_bits(s->header);

    for (uint64_t i = 0;
         i < table->n && i << bits < refmap_clusters(s->check->counting.refs) && s->missing->len < MAX_GAPS; i++) {
        if (!table->entries[i] && !qcow2_refcount_entry_unread(table, i) &&
            has_counts(s, i << bits, UINT64_C(1) << bits)) {
            g_array_append_val(s->missing, i);
        }
    }
}

uint64_t qcow2_lost_block_counts(const Qcow2Check *check, const uint8_t *bytes, uint64_t index)
{
    uint64_t counts[COUNTS_AT_ONCE];
    const Qcow2HeaderFields *h = &check->image->header;
    uint64_t n = UINT64_C(1) << qcow2_refblock_bits(h);
    uint64_t clusters = refmap_clusters(check->counting.refs);
    uint64_t in_file = DIV_ROUND_UP(check->counting.file_end, h->cluster_size);
    uint64_t same = 0, lost = 0, differing = 0;

    /* no more can be the same than those that are left, too */
    for (uint64_t i = 0; i < n && differing <= (same + n - i) / 8 && lost <= same + n - i; i += COUNTS_AT_ONCE) {
        uint64_t some = MIN(n - i, COUNTS_AT_ONCE);

        qcow2_unpack_refcounts(bytes, h->refcount_order, i, some, counts);
        for (uint64_t k = 0; k < some; k++) {
            uint64_t cluster = index * n + i + k;
            uint64_t computed = cluster < clusters ? refmap_get(check->counting.refs, cluster) : 0;

            same += counts[k] && counts[k] == computed;
            if (counts[k] == 1 && !computed && cluster < in_file) {
                lost++; /* a table may be lost, too */
            } else {
                differing += counts[k] != computed;
            }
        }
    }
    return differing <= same / 8 && lost <= same ? same : 0;
}

static bool is_refcount_block(Search *s, uint64_t cluster)
{
    unsigned bits = qcow2_refblock_bits(s->header) + s->header->cluster_bits;

    for (guint i = 0; i < s->missing->len; i++) {
        uint64_t index = g_array_index(s->missing, uint64_t, i);

        if (qcow2_lost_block_counts(s->check, s->cluster, index)) {
            Qcow2Location location =
                qcow2_location(IMAGE_CHECK_STRUCTURE_REFCOUNT_BLOCK, s->header->refcount_table_offset + index * 8,
                               cluster << s->header->cluster_bits, s->header->cluster_size);

            qcow2_collector_add(s->check->collector, &(Qcow2Finding){QCOW2_FINDING_LEAKED_REFCOUNT_BLOCK,
                                                                     {index << bits, ((index + 1) << bits) - 1},
                                                                     .location = location});
            return true;
        }
    }
    return false;
}

/* ---- looking ---- */

/* False where it cannot be read, or there is nothing in it. */
static bool read_cluster(Search *s, uint64_t cluster)
{
    BlockSource *source = s->check->image->source;
    uint64_t offset = cluster << s->header->cluster_bits;

    return !block_source_is_hole(source, offset, s->header->cluster_size) &&
           !block_source_read(source, s->cluster, s->header->cluster_size, offset);
}

static void look_at(Search *s, const Qcow2ClusterRange *range)
{
    unsigned misses = 0;

    for (uint64_t at = range->first; at < range->first + range->n && misses < MAX_MISSES; at++) {
        if (s->reads >= MAX_READS || s->reads * s->header->cluster_size >= MAX_BYTES) {
            return;
        }
        s->reads++;
        misses += !read_cluster(s, at) || !is_refcount_block(s, at);
    }
}

void qcow2_find_lost_blocks(Qcow2Check *check)
{
    Search s = {.check = check, .header = &check->image->header};

    s.leaks = g_array_new(FALSE, FALSE, sizeof(Qcow2ClusterRange));
    s.missing = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    collect_missing_blocks(&s);
    if (s.missing->len) {
        collect_leaks(&s);
        s.cluster = g_malloc(s.header->cluster_size);
    }
    for (guint i = 0; i < s.leaks->len; i++) {
        look_at(&s, &g_array_index(s.leaks, Qcow2ClusterRange, i));
    }
    g_free(s.cluster);
    g_array_unref(s.leaks);
    g_array_unref(s.missing);
}
