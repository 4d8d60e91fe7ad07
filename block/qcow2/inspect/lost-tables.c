/*
 * Leaked clusters that look like tables.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/lost-tables.h"

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
    Qcow2L2Result *contents;
    unsigned reads;
} Search;

/* ---- which clusters are leaked ---- */

static void collect_leaks(Search *s)
{
    GArray *records = qcow2_collector_records(s->check->collector);

    for (guint i = 0; i < records->len; i++) {
        const Qcow2FindingRecord *r = &g_array_index(records, Qcow2FindingRecord, i);
        Qcow2ClusterRange range = {
            .first = r->location.cluster_offset >> s->header->cluster_bits,
            .n = r->location.cluster_size >> s->header->cluster_bits,
        };

        if (r->kind == QCOW2_FINDING_LEAK && !r->location.reference && range.n) {
            g_array_append_val(s->leaks, range);
        }
    }
}

static bool is_leaked(const Search *s, uint64_t cluster)
{
    return qcow2_cluster_ranges_with(s->leaks, cluster);
}

/* ---- L2 tables ---- */

/* Which L1 entry may have been that of a table: one that is empty, where tables before and behind lie around it. */
typedef struct SlotGuess {
    uint64_t table;     /* offset of the table in the file */
    uint64_t before;    /* offset of the last table that was seen; 0 = none */
    uint64_t empty;     /* entries without a table since then */
    uint64_t candidate; /* index of the entry */
    bool found;
    bool several;
} SlotGuess;

/* The entries [index - guess->empty, index) have no table, and the next one behind them is at @behind. */
static void judge_gap(SlotGuess *g, uint64_t index, uint64_t behind)
{
    if (g->empty && g->before < g->table && g->table < behind) {
        g->several = g->several || g->found || g->empty > 1;
        g->found = true;
        g->candidate = index - 1;
    }
    g->empty = 0;
}

/* True and *index set where exactly one entry of the active L1 table can have been that of @table. */
static bool guess_slot(const Search *s, uint64_t table, uint64_t *index)
{
    const Qcow2HeaderFields *h = s->header;
    uint64_t needed = DIV_ROUND_UP(h->size, UINT64_C(1) << (h->l2_bits + h->cluster_bits));
    uint64_t end = MIN(needed, h->l1_size);
    SlotGuess guess = {.table = table};
    uint64_t done = 0, first = 0, n;
    const uint64_t *slots;

    while ((n = qcow2_tables_part(s->check->regions.l1_tables, h->l1_table_offset, end, &first, &slots))) {
        guess.empty += first - done;
        for (uint64_t i = 0; i < n; i++) {
            uint64_t offset = slots[i] & QCOW2_OFFSET_MASK;

            if (!offset || offset % h->cluster_size || offset >= s->check->counting.file_end) {
                guess.empty++;
                continue;
            }
            judge_gap(&guess, first + i, offset);
            guess.before = offset;
        }
        first += n;
        done = first;
    }
    guess.empty += end - done;
    judge_gap(&guess, end, UINT64_MAX);
    *index = guess.candidate;
    return guess.found && !guess.several;
}

/* What the clusters that a table names say of it. */
typedef struct Named {
    uint64_t all;
    uint64_t leaked;
    uint64_t end; /* behind the last one in a row of leaked clusters that begins behind the table */
} Named;

static bool inside(const Search *s, uint64_t offset, uint64_t size)
{
    uint64_t end;

    return add_u64(offset, size, &end) && end <= s->check->counting.file_end;
}

/* False where it names what does not exist. */
static bool look_at_named(const Search *s, uint64_t cluster, Named *named)
{
    const Qcow2L2Result *t = s->contents;

    named->end = cluster + 1;
    for (uint32_t i = 0; i < t->n_runs; i++) {
        uint64_t first = t->runs[i].offset >> s->header->cluster_bits;

        if (!inside(s, t->runs[i].offset, (uint64_t)t->runs[i].n << s->header->cluster_bits)) {
            return false;
        }
        named->all += t->runs[i].n;
        for (uint32_t k = 0; k < t->runs[i].n; k++) {
            named->leaked += is_leaked(s, first + k);
        }
        named->end = named->end == first ? first + t->runs[i].n : named->end;
    }
    for (guint i = 0; i < t->extents->len; i++) {
        const Qcow2Extent *e = &g_array_index(t->extents, Qcow2Extent, i);

        if (!inside(s, e->offset, e->length)) {
            return false;
        }
        named->all++;
        named->leaked += is_leaked(s, e->offset >> s->header->cluster_bits);
    }
    return true;
}

/* True where the cluster that was read can hardly be anything but an L2 table; *next is where to look for more. */
static bool is_l2_table(Search *s, uint64_t cluster, uint64_t *next)
{
    uint64_t offset = cluster << s->header->cluster_bits;
    Qcow2Location location = qcow2_location_range(IMAGE_CHECK_STRUCTURE_L2, offset, s->header->cluster_size);
    g_autofree char *guess = NULL;
    Named named = {0};
    uint64_t index;

    qcow2_l2_decode(s->header, s->cluster, s->contents);
    if (s->contents->faults->len || !look_at_named(s, cluster, &named) || !named.all ||
        named.leaked < DIV_ROUND_UP(named.all, 2)) {
        return false;
    }
    if (guess_slot(s, offset, &index)) {
        Qcow2Location entry =
            qcow2_location_l1_entry(s->header, NULL, s->header->l1_table_offset + index * 8, index, offset);

        entry.structure = location.structure;
        location = entry;
        guess = g_strdup_printf(" It looks like the table that mapped guest 0x%" PRIx64 "-0x%" PRIx64 ".",
                                location.guest_offset, location.guest_offset + location.guest_size - 1);
    }
    qcow2_collector_add(
        s->check->collector,
        &(Qcow2Finding){QCOW2_FINDING_LEAKED_L2, {named.leaked, named.all}, {guess ? guess : ""}, location});
    *next = named.end;
    return true;
}

/* ---- refcount blocks ---- */

static bool has_counts(const Search *s, uint64_t first, uint64_t n)
{
    uint64_t piece = first >> COUNTERS_PER_PIECE_BITS;

    if (!refmap_next_piece(s->check->counting.refs, &piece)) {
        return false;
    }
    for (uint64_t i = MAX(first, piece << COUNTERS_PER_PIECE_BITS); i < first + n; i++) {
        if (i >= refmap_clusters(s->check->counting.refs)) {
            return false;
        }
        if (refmap_get(s->check->counting.refs, i)) {
            return true;
        }
    }
    return false;
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

/* True where nearly all counts of the cluster that was read are those of block @index. */
static bool is_block(const Search *s, uint64_t index)
{
    uint64_t counts[COUNTS_AT_ONCE];
    uint64_t n = UINT64_C(1) << qcow2_refblock_bits(s->header);
    uint64_t clusters = refmap_clusters(s->check->counting.refs);
    uint64_t same = 0, differing = 0;

    for (uint64_t i = 0; i < n; i += COUNTS_AT_ONCE) {
        uint64_t some = MIN(n - i, COUNTS_AT_ONCE);

        qcow2_unpack_refcounts(s->cluster, s->header->refcount_order, i, some, counts);
        for (uint64_t k = 0; k < some; k++) {
            uint64_t cluster = index * n + i + k;
            uint64_t computed = cluster < clusters ? refmap_get(s->check->counting.refs, cluster) : 0;

            same += counts[k] && counts[k] == computed;
            differing += counts[k] != computed;
        }
    }
    return same && differing <= same / 8;
}

static bool is_refcount_block(Search *s, uint64_t cluster)
{
    unsigned bits = qcow2_refblock_bits(s->header) + s->header->cluster_bits;

    for (guint i = 0; i < s->missing->len; i++) {
        uint64_t index = g_array_index(s->missing, uint64_t, i);

        if (is_block(s, index)) {
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
    uint64_t next;

    for (uint64_t at = range->first; at < range->first + range->n && misses < MAX_MISSES; at = next) {
        next = at + 1;
        if (s->reads >= MAX_READS || s->reads * s->header->cluster_size >= MAX_BYTES) {
            return;
        }
        s->reads++;
        if (!read_cluster(s, at) || (!is_l2_table(s, at, &next) && !is_refcount_block(s, at))) {
            misses++;
        }
    }
}

void qcow2_find_lost_tables(Qcow2Check *check)
{
    Search s = {.check = check, .header = &check->image->header};

    /* with an external data file the clusters that a table names are not in this one */
    if (qcow2_has_data_file(s.header)) {
        return;
    }
    s.leaks = g_array_new(FALSE, FALSE, sizeof(Qcow2ClusterRange));
    s.missing = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    collect_leaks(&s);
    if (s.leaks->len) {
        s.cluster = g_malloc(s.header->cluster_size);
        s.contents = qcow2_l2_result_new(s.header);
        collect_missing_blocks(&s);
    }
    for (guint i = 0; s.contents && i < s.leaks->len; i++) {
        look_at(&s, &g_array_index(s.leaks, Qcow2ClusterRange, i));
    }
    qcow2_l2_result_free(s.contents);
    g_free(s.cluster);
    g_array_unref(s.leaks);
    g_array_unref(s.missing);
}
