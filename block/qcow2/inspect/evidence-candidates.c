/*
 * Candidates for lost tables.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/evidence-candidates.h"

#include <assert.h>

#include "block/io/prefetch.h"
#include "block/qcow2/inspect/evidence-forms.h"
#include "block/qcow2/inspect/evidence-stale.h"
#include "block/qcow2/inspect/evidence-surplus.h"
#include "block/qcow2/inspect/evidence-trees.h"
#include "util/number.h"
#include "util/search.h"
#include "util/smallest.h"
#include "util/zeros.h"

#define BEGINNING     512u  /* bytes of a cluster */
#define CLUSTERS_EACH 65536 /* that are examined before the next are collected */
#define L1_SAMPLE     64    /* entries of a table that tell whether it refers to tables */
#define ORDERED       4     /* one step back of so many does not make a table scattered */

#define COUNTS_OF_ENTRIES 6 /* refcount order with which counts are as wide as entries, and 1 is a zero flag */

/* What the beginning, and then the whole, of a cluster comes to. */
typedef enum Verdict {
    VERDICT_DISMISSED,
    VERDICT_EXAMINE_WHOLE,
    VERDICT_UNREAD,
} Verdict;

/* Clusters that are examined together. */
typedef struct Batch {
    uint64_t *clusters;
    uint8_t *verdicts; /* Verdict */
    bool *in_use;
    size_t n;
} Batch;

typedef struct Search {
    const Qcow2Check *check;
    const Qcow2HeaderFields *header;
    Qcow2Candidates *found;
    const Qcow2CandidateVisitor *visitor;
    GArray *wanted; /* size_t: indexes of candidates that it visits */
    GArray *stale;  /* Qcow2ClusterRange: tables that nobody wants back */
    Batch batch;
    bool in_use_found; /* some clusters with a surplus are in use */
    bool lists_found;  /* some of the leaked clusters may list tables: L1 and snapshot tables */
    Smallest some;     /* Qcow2Candidate: what was found, by cluster */
} Search;

typedef struct SearchWorker {
    Search *search;
    Qcow2L2Result *contents;
} SearchWorker;

static void *begin_worker(void *opaque, unsigned number)
{
    Search *s = opaque;
    SearchWorker worker = {s, qcow2_l2_result_new(s->header)};

    return worker.contents ? g_memdup2(&worker, sizeof(worker)) : NULL;
}

static bool end_worker(void *opaque, void *state)
{
    SearchWorker *worker = state;

    qcow2_l2_result_free(worker->contents);
    g_free(worker);
    return true;
}

/* False when memory is short. */
static bool read_ranges(Search *s, size_t n, BlockRange (*range)(const void *opaque, size_t i),
                        bool (*examine)(void *state, size_t i, const uint8_t *bytes, int error))
{
    BlockPrefetch prefetch = {
        .source = s->check->image->source,
        .options = {.workers = s->check->options->workers},
        .n = n,
        .range = range,
        .examine = examine,
        .begin = begin_worker,
        .end = end_worker,
        .opaque = s,
    };

    return block_prefetch(&prefetch);
}

/* ---- the beginning ---- */

static BlockRange beginning(const void *opaque, size_t i)
{
    const Search *s = opaque;

    return (BlockRange){s->batch.clusters[i] << s->header->cluster_bits, BEGINNING};
}

static bool examine_beginning(void *state, size_t i, const uint8_t *bytes, int error)
{
    Search *s = ((SearchWorker *)state)->search;
    uint64_t length = s->check->counting.file_end;
    /* a hole may end within the cluster */
    bool may_be = !bytes || qcow2_may_be_l2(bytes, BEGINNING, s->header, length) ||
                  qcow2_may_be_l1(bytes, BEGINNING, s->header, length) ||
                  qcow2_may_be_snapshot_table(bytes, BEGINNING, s->header, length);

    if (!s->batch.in_use[i]) {
        s->batch.verdicts[i] = error ? VERDICT_UNREAD : may_be ? VERDICT_EXAMINE_WHOLE : VERDICT_DISMISSED;
    }
    return true;
}

/* ---- the whole ---- */

/* What the entries of a table lead to. */
typedef struct Named {
    uint64_t all;
    uint64_t surplus;
    uint64_t wrong; /* damaged entries, and those that name a cluster a second time or the table itself */
    bool flags_wrong;
    bool copied;
} Named;

static bool inside(const Search *s, uint64_t offset, uint64_t size)
{
    uint64_t end;

    return add_u64(offset, size, &end) && end <= s->check->counting.file_end + s->header->cluster_size;
}

static void add_run(const Search *s, const Qcow2Run *run, uint64_t table, Named *named)
{
    uint64_t first = run->offset >> s->header->cluster_bits, end = first + run->n;
    Qcow2Surplus surplus;

    named->all += run->n;
    if (qcow2_has_data_file(s->header)) {
        named->surplus += run->n; /* the clusters are those of another file, in which none is counted */
        return;
    }
    if (!inside(s, run->offset, (uint64_t)run->n << s->header->cluster_bits) || (first <= table && table < end)) {
        named->wrong += run->n;
        return;
    }
    for (uint64_t at = first; qcow2_next_surplus(s->check, at, end, &surplus); at = surplus.first + surplus.n) {
        named->surplus += surplus.n;
        named->flags_wrong |= run->copied != (surplus.stored == 1);
        named->copied |= run->copied;
    }
}

static void add_extent(const Search *s, const Qcow2Extent *extent, Named *named)
{
    named->all++;
    if (inside(s, extent->offset, extent->length)) {
        named->surplus += qcow2_count_surplus(s->check, extent->offset >> s->header->cluster_bits, 1);
    } else {
        named->wrong++;
    }
}

static void examine_l2(const Search *s, const uint8_t *bytes, const Qcow2L2Result *contents, Qcow2Candidate *c)
{
    Named named = {.wrong = contents->faults->len};
    uint64_t last = 0;
    uint32_t back = 0;

    for (uint32_t i = 0; i < contents->n_runs; i++) {
        add_run(s, &contents->runs[i], c->cluster, &named);
        back += contents->runs[i].offset < last;
        named.wrong += contents->runs[i].offset == last;
        last = contents->runs[i].offset + ((uint64_t)(contents->runs[i].n - 1) << s->header->cluster_bits);
        c->last_entry = contents->runs[i].index + contents->runs[i].n - 1;
    }
    for (guint i = 0; i < contents->extents->len; i++) {
        const Qcow2Extent *extent = &g_array_index(contents->extents, Qcow2Extent, i);

        add_extent(s, extent, &named);
        c->last_entry = MAX(c->last_entry, extent->index);
    }
    c->named = (uint32_t)named.all;
    c->surplus = (uint32_t)named.surplus;
    c->flags_wrong = named.flags_wrong;
    c->copied = named.copied;
    c->scattered = back > contents->n_runs / ORDERED;
    c->may_be_counts = !named.all && s->header->refcount_order == COUNTS_OF_ENTRIES;
    c->may_be_l2 = named.wrong <= qcow2_bearable_damage(named.all) && named.surplus * 2 >= named.all &&
                   (named.all || qcow2_is_l2_of_zeros(bytes, s->header));
}

static void examine_l1(const Search *s, const uint8_t *bytes, Qcow2Candidate *c)
{
    uint64_t length = s->check->counting.file_end;
    uint32_t named = 0, surplus = 0;

    if (!qcow2_may_be_l1(bytes, s->header->cluster_size, s->header, length)) {
        return;
    }
    for (size_t at = 0; at < s->header->cluster_size; at += 8) {
        uint64_t word = load_be64(bytes + at);

        if (word && qcow2_may_be_l1_entry(word, s->header, length)) {
            named++;
            surplus += qcow2_count_surplus(s->check, (word & QCOW2_OFFSET_MASK) >> s->header->cluster_bits, 1) != 0;
        }
    }
    c->may_be_l1 = named && surplus * 2 >= named;
    if (c->may_be_l1 && !c->may_be_l2) {
        c->named = named;
        c->surplus = surplus;
    }
}

/* The first entry of a snapshot table that is not in use, and whose snapshot is lost, refers to a leaked L1 table. */
static void examine_snapshot_table(const Search *s, const uint8_t *bytes, Qcow2Candidate *c)
{
    uint64_t l1 = load_be64(bytes) >> s->header->cluster_bits;

    if (qcow2_may_be_snapshot_table(bytes, s->header->cluster_size, s->header, s->check->counting.file_end)) {
        c->snapshot_table = qcow2_count_surplus(s->check, l1, 1);
    }
}

static BlockRange whole(const void *opaque, size_t i)
{
    const Search *s = opaque;

    return (BlockRange){s->batch.clusters[i] << s->header->cluster_bits, (uint32_t)s->header->cluster_size};
}

static bool examine_whole(void *state, size_t i, const uint8_t *bytes, int error)
{
    SearchWorker *w = state;
    Search *s = w->search;
    Qcow2Candidate c = {.cluster = s->batch.clusters[i], .in_use = s->batch.in_use[i]};

    s->batch.verdicts[i] = error ? VERDICT_UNREAD : VERDICT_DISMISSED;
    if (!bytes || is_zeros(bytes, s->header->cluster_size)) {
        return true;
    }
    qcow2_l2_decode(s->header, bytes, w->contents);
    examine_l2(s, bytes, w->contents, &c);
    if (!c.in_use) {
        examine_l1(s, bytes, &c);
        examine_snapshot_table(s, bytes, &c);
    }
    if (c.may_be_l1 || c.snapshot_table) {
        __atomic_store_n(&s->lists_found, true, __ATOMIC_RELAXED);
    }
    if (c.may_be_l1 || c.may_be_l2 || c.snapshot_table) {
        smallest_add(&s->some, &c);
    }
    return true;
}

/* ---- which clusters ---- */

/* Notes what could not be read, and keeps what is to be examined as a whole. */
static void sort_out(Search *s)
{
    Batch *b = &s->batch;
    size_t kept = 0;

    for (size_t i = 0; i < b->n; i++) {
        Qcow2ClusterRange range = {b->clusters[i], 1};

        if (b->verdicts[i] == VERDICT_EXAMINE_WHOLE) {
            b->clusters[kept] = b->clusters[i];
            b->in_use[kept++] = b->in_use[i];
        } else if (b->verdicts[i] == VERDICT_UNREAD && !b->in_use[i]) {
            g_array_append_val(s->found->unread, range);
        }
    }
    b->n = kept;
}

/* Examines the clusters of the batch, and empties it. */
static bool examine_batch(Search *s)
{
    if (!read_ranges(s, s->batch.n, beginning, examine_beginning)) {
        return false;
    }
    sort_out(s);
    if (!read_ranges(s, s->batch.n, whole, examine_whole)) {
        return false;
    }
    sort_out(s);
    s->batch.n = 0;
    return true;
}

static bool add_cluster(Search *s, uint64_t cluster, bool in_use)
{
    Batch *b = &s->batch;

    b->clusters[b->n] = cluster;
    b->verdicts[b->n] = in_use ? VERDICT_EXAMINE_WHOLE : VERDICT_DISMISSED;
    b->in_use[b->n++] = in_use;
    return b->n < CLUSTERS_EACH || examine_batch(s);
}

/* Returns true if something may lack the table in use at @offset: a tree at its index, or what lists tables itself. */
static bool may_be_missed(const Search *s, uint64_t offset)
{
    uint64_t index;

    return s->lists_found || (qcow2_find_l1_index(s->check, offset, &index) && qcow2_tree_without(s->check, index));
}

/* Those of @surplus, which have references, that are L2 tables and may be missed elsewhere. */
static bool add_tables_in_use(Search *s, const Qcow2Surplus *surplus)
{
    size_t n;
    const Qcow2TableRef *tables = qcow2_walk_tables(s->check->walk, &n);
    unsigned bits = s->header->cluster_bits;

    for (size_t i = FIRST_NOT_BELOW(tables, n, Qcow2TableRef, offset, surplus->first << bits);
         i < n && tables[i].offset >> bits < surplus->first + surplus->n; i++) {
        if (tables[i].offset % s->header->cluster_size == 0 && may_be_missed(s, tables[i].offset) &&
            !add_cluster(s, tables[i].offset >> bits, true)) {
            return false;
        }
    }
    return true;
}

static bool add_leaked(Search *s, const Qcow2Surplus *surplus)
{
    for (uint64_t i = surplus->first; i < surplus->first + surplus->n; i++) {
        if (!qcow2_cluster_ranges_with(s->stale, i) && !add_cluster(s, i, false)) {
            return false;
        }
    }
    return true;
}

/* Clusters with a surplus that are in use, or those that are not. What lies behind the end of the file is zeros. */
static bool examine_all(Search *s, bool in_use)
{
    uint64_t end = DIV_ROUND_UP(s->check->counting.file_end, s->header->cluster_size);
    Qcow2Surplus surplus;

    for (uint64_t at = 0; qcow2_next_surplus(s->check, at, end, &surplus); at = surplus.first + surplus.n) {
        s->in_use_found |= surplus.references != 0;
        if (!surplus.references == !in_use && !(in_use ? add_tables_in_use(s, &surplus) : add_leaked(s, &surplus))) {
            return false;
        }
    }
    return !s->batch.n || examine_batch(s);
}

static int compare_candidates(const void *a, const void *b)
{
    const Qcow2Candidate *x = a, *y = b;

    return (x->cluster > y->cluster) - (x->cluster < y->cluster);
}

/* ---- which of them are L1 tables ---- */

const Qcow2Candidate *qcow2_candidate_at(const Qcow2Candidates *found, uint64_t cluster)
{
    size_t i = ARRAY_FIRST_NOT_BELOW(found->items, Qcow2Candidate, cluster, cluster);
    const Qcow2Candidate *c = i < found->items->len ? &g_array_index(found->items, Qcow2Candidate, i) : NULL;

    return c && c->cluster == cluster ? c : NULL;
}

/* L2 tables in use whose own entries say nothing of a loss are tables all the same. */
static bool is_table(const Search *s, uint64_t offset)
{
    size_t n;
    const Qcow2TableRef *tables = qcow2_walk_tables(s->check->walk, &n);
    size_t i = FIRST_NOT_BELOW(tables, n, Qcow2TableRef, offset, offset);

    return (i < n && tables[i].offset == offset) || qcow2_candidate_at(s->found, offset >> s->header->cluster_bits);
}

/* Returns true if most of the first entries at @bytes lead to tables. */
static bool leads_to_tables(const Search *s, const uint8_t *bytes)
{
    unsigned entries = 0, tables = 0;

    for (size_t at = 0; at < s->header->cluster_size && entries < L1_SAMPLE; at += 8) {
        uint64_t word = load_be64(bytes + at);

        entries += word != 0;
        tables += word && is_table(s, word & QCOW2_OFFSET_MASK);
    }
    return tables * 2 > entries;
}

static bool may_be_l1(const void *opaque, size_t i, const Qcow2Candidate *c)
{
    return c->may_be_l1;
}

static bool tell_l1(void *opaque, size_t i, const uint8_t *bytes, const Qcow2L2Result *contents)
{
    Search *s = opaque;
    Qcow2Candidate *c = &g_array_index(s->found->items, Qcow2Candidate, i);

    assert(c);
    c->may_be_l1 = leads_to_tables(s, bytes);
    c->may_be_l2 = c->may_be_l2 && !c->may_be_l1;
    return true;
}

static void drop_neither(Qcow2Candidates *found)
{
    guint kept = 0;

    for (guint i = 0; i < found->items->len; i++) {
        Qcow2Candidate c = g_array_index(found->items, Qcow2Candidate, i);

        if (c.may_be_l1 || c.may_be_l2 || c.snapshot_table) {
            g_array_index(found->items, Qcow2Candidate, kept++) = c;
        }
    }
    g_array_set_size(found->items, kept);
}

/* ---- all of it ---- */

static BlockRange wanted_range(const void *opaque, size_t k)
{
    const Search *s = opaque;
    size_t i = g_array_index(s->wanted, size_t, k);
    uint64_t cluster = g_array_index(s->found->items, Qcow2Candidate, i).cluster;

    return (BlockRange){cluster << s->header->cluster_bits, (uint32_t)s->header->cluster_size};
}

static bool visit_wanted(void *state, size_t k, const uint8_t *bytes, int error)
{
    SearchWorker *w = state;
    const Search *s = w->search;

    if (error || !bytes) {
        return true;
    }
    qcow2_l2_decode(s->header, bytes, w->contents);
    return s->visitor->visit(s->visitor->opaque, g_array_index(s->wanted, size_t, k), bytes, w->contents);
}

bool qcow2_visit_candidates(const Qcow2Check *check, const Qcow2Candidates *candidates,
                            const Qcow2CandidateVisitor *visitor)
{
    g_autoptr(GArray) wanted = g_array_new(FALSE, FALSE, sizeof(size_t));
    Search s = {.check = check,
                .header = &check->image->header,
                .found = (Qcow2Candidates *)candidates,
                .visitor = visitor,
                .wanted = wanted};

    for (size_t i = 0; i < candidates->items->len; i++) {
        if (visitor->wants(visitor->opaque, i, &g_array_index(candidates->items, Qcow2Candidate, i))) {
            g_array_append_val(wanted, i);
        }
    }
    return read_ranges(&s, wanted->len, wanted_range, visit_wanted);
}

bool qcow2_find_candidates(const Qcow2Check *check, Qcow2Candidates *candidates, GError **errp)
{
    Search s = {.check = check, .header = &check->image->header, .found = candidates};
    Qcow2CandidateVisitor visitor = {may_be_l1, tell_l1, &s};
    bool ok;

    *candidates = (Qcow2Candidates){.unread = g_array_new(FALSE, FALSE, sizeof(Qcow2ClusterRange))};
    s.batch.clusters = g_new(uint64_t, CLUSTERS_EACH);
    s.batch.verdicts = g_new(uint8_t, CLUSTERS_EACH);
    s.batch.in_use = g_new(bool, CLUSTERS_EACH);
    s.stale = qcow2_stale_bitmap_tables(check);
    smallest_init(&s.some, sizeof(Qcow2Candidate), QCOW2_MAX_CANDIDATES, compare_candidates);
    ok = examine_all(&s, false) && (!s.in_use_found || examine_all(&s, true));
    candidates->items = g_array_ref(smallest_end(&s.some));
    candidates->too_many = s.some.more;
    ok = ok && qcow2_visit_candidates(check, candidates, &visitor);
    drop_neither(candidates);
    qcow2_cluster_ranges_sort(candidates->unread);
    smallest_clear(&s.some);
    g_array_unref(s.stale);
    g_free(s.batch.clusters);
    g_free(s.batch.verdicts);
    g_free(s.batch.in_use);
    return ok || qapi_set_out_of_memory(errp);
}

void qcow2_candidates_clear(Qcow2Candidates *candidates)
{
    g_clear_pointer(&candidates->items, g_array_unref);
    g_clear_pointer(&candidates->unread, g_array_unref);
}
