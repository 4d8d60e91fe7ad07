/*
 * Places where a table is missing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/evidence-places.h"

#include "block/qcow2/inspect/evidence-forms.h"
#include "block/qcow2/inspect/evidence-likely.h"
#include "block/qcow2/inspect/evidence-sharing.h"
#include "block/qcow2/inspect/evidence-surplus.h"
#include "block/qcow2/inspect/evidence-trees.h"
#include "util/number.h"
#include "util/search.h"
#include "util/smallest.h"

#define MAX_OWNED  (1u << 20) /* entries of lost L1 and snapshot tables that are remembered */
#define MAX_GAPS   1024       /* rows of missing entries that the order of tables is compared with */
#define MAX_SHARED 16         /* tables that two L1 entries refer to */

/* An entry of a lost L1 table, or of a lost snapshot table. */
typedef struct Owned {
    uint64_t table; /* cluster of the L2 table, or L1 table, that it refers to */
    uint64_t l1;    /* cluster that the entry is in */
    uint32_t index; /* in that cluster */
} Owned;

/* Two entries that refer to one table. */
typedef struct SharedEntries {
    uint64_t table; /* offset */
    uint64_t indexes[2];
    unsigned n;
} SharedEntries;

struct Qcow2Places {
    const Qcow2Check *check;
    const Qcow2HeaderFields *header;
    const Qcow2Candidates *candidates;
    uint64_t needed;  /* L1 entries that the disk needs, or has */
    uint64_t n_empty; /* of them without a table */
    uint64_t n_used;  /* and with one */
    GArray *gaps;     /* Qcow2MissingRow */
    bool more_gaps;
    bool unordered;   /* some tables lie before those of earlier ranges: their order tells nothing */
    GArray *shared;   /* SharedEntries, sorted by table */
    Smallest owned;   /* Owned, sorted by table */
    GArray *sharing;  /* Qcow2SharedPlace by candidate, sorted; see qcow2_find_sharing() */
    GArray *by_index; /* those of them that no lost L1 table refers to; see qcow2_sort_sharing() */
    GArray *alone;    /* uint64_t: numbers of leaked L2 tables of which only their place in the file tells anything */
    bool more_alone;  /* than can be named */
    GArray *likely;   /* uint64_t, for each of @alone; see qcow2_likely_places() */
};

/* ---- entries without a table ---- */

static void end_gap(Qcow2Places *p, Qcow2MissingRow *gap, uint64_t behind)
{
    p->unordered |= behind < gap->before;
    gap->behind = behind;
    if (gap->n && p->gaps->len < MAX_GAPS) {
        g_array_append_val(p->gaps, *gap);
    } else if (gap->n) {
        p->more_gaps = true;
    }
    p->n_empty += gap->n;
    gap->before = behind;
    gap->n = 0;
}

static void add_missing(Qcow2MissingRow *gap, uint64_t index, uint64_t n)
{
    if (n && !gap->n) {
        gap->first = index;
    }
    gap->n += n;
}

static void note_shared_entry(Qcow2Places *p, uint64_t table, uint64_t index)
{
    size_t i = ARRAY_FIRST_NOT_BELOW(p->shared, SharedEntries, table, table);
    SharedEntries *s = i < p->shared->len ? &g_array_index(p->shared, SharedEntries, i) : NULL;

    if (s && s->table == table && s->n < G_N_ELEMENTS(s->indexes)) {
        s->indexes[s->n++] = index;
    }
}

static void find_missing(Qcow2Places *p)
{
    uint64_t done = 0, first = 0, n;
    Qcow2MissingRow gap = {0};
    const uint64_t *slots;

    while (p->check->regions.active && (n = qcow2_tables_part(p->check->regions.l1_tables, p->header->l1_table_offset,
                                                              p->needed, &first, &slots))) {
        add_missing(&gap, done, first - done);
        for (uint64_t i = 0; i < n; i++) {
            if (qcow2_l1_word_missing(p->check, slots[i])) {
                add_missing(&gap, first + i, 1);
                continue;
            }
            p->n_used++;
            note_shared_entry(p, slots[i] & QCOW2_OFFSET_MASK, first + i);
            end_gap(p, &gap, slots[i] & QCOW2_OFFSET_MASK);
        }
        done = first += n;
    }
    add_missing(&gap, done, p->needed - done);
    end_gap(p, &gap, UINT64_MAX);
}

static void find_shared(Qcow2Places *p)
{
    size_t n;
    const Qcow2TableRef *tables = qcow2_walk_tables(p->check->walk, &n);

    for (size_t i = 0; i < n && p->shared->len < MAX_SHARED; i++) {
        SharedEntries shared = {.table = tables[i].offset};

        if (tables[i].active > 1) {
            g_array_append_val(p->shared, shared);
        }
    }
}

bool qcow2_places_all_empty(const Qcow2Places *p)
{
    return p->n_empty == p->needed;
}

/* ---- lost L1 tables ---- */

static void note_snapshots(Qcow2Places *p, const Qcow2Candidate *c, const uint8_t *bytes)
{
    uint64_t size = p->header->cluster_size, length = p->check->counting.file_end;
    uint32_t index = 0;

    for (uint64_t at = 0; at + sizeof(Qcow2DiskSnapshot) <= size &&
                          qcow2_may_be_snapshot_table(bytes + at, size - at, p->header, length);
         at += qcow2_snapshot_entry_length(bytes + at)) {
        Owned owned = {load_be64(bytes + at) >> p->header->cluster_bits, c->cluster, index++};

        if (qcow2_candidate_at(p->candidates, owned.table)) {
            smallest_add(&p->owned, &owned);
        }
    }
}

static bool names_tables(const void *opaque, size_t i, const Qcow2Candidate *c)
{
    return c->snapshot_table || c->may_be_l1;
}

static bool note_entries(void *opaque, size_t i, const uint8_t *bytes, const Qcow2L2Result *contents)
{
    Qcow2Places *p = opaque;
    const Qcow2Candidate *c = &g_array_index(p->candidates->items, Qcow2Candidate, i);
    uint64_t length = p->check->counting.file_end;

    if (c->snapshot_table) {
        note_snapshots(p, c, bytes);
    }
    for (size_t at = 0; c->may_be_l1 && at < p->header->cluster_size; at += 8) {
        uint64_t word = load_be64(bytes + at);
        Owned owned = {(word & QCOW2_OFFSET_MASK) >> p->header->cluster_bits, c->cluster, (uint32_t)(at / 8)};

        if (qcow2_may_be_l1_entry(word, p->header, length) && qcow2_candidate_at(p->candidates, owned.table)) {
            smallest_add(&p->owned, &owned);
        }
    }
    return true;
}

static int compare_owned(const void *a, const void *b)
{
    const Owned *x = a, *y = b;

    if (x->table != y->table) {
        return x->table < y->table ? -1 : 1;
    }
    if (x->l1 != y->l1) {
        return x->l1 < y->l1 ? -1 : 1;
    }
    return (x->index > y->index) - (x->index < y->index);
}

/* The entry of a lost table that refers to @cluster; NULL: none. */
static const Owned *owner_of(const Qcow2Places *p, uint64_t cluster)
{
    size_t i = ARRAY_FIRST_NOT_BELOW(p->owned.items, Owned, table, cluster);
    const Owned *owned = i < p->owned.items->len ? &g_array_index(p->owned.items, Owned, i) : NULL;

    return owned && owned->table == cluster ? owned : NULL;
}

/* What a lost table refers to has its place, and contests that of no other. */
static void list_sharing(Qcow2Places *p)
{
    for (guint i = 0; i < p->sharing->len; i++) {
        const Qcow2SharedPlace *s = &g_array_index(p->sharing, Qcow2SharedPlace, i);

        if (!owner_of(p, g_array_index(p->candidates->items, Qcow2Candidate, s->candidate).cluster)) {
            g_array_append_vals(p->by_index, s, 1);
        }
    }
    qcow2_sort_sharing(p->by_index);
}

/* ---- the order of tables ---- */

static const Qcow2SharedPlace *sharing_of(const Qcow2Places *p, size_t candidate)
{
    size_t i = ARRAY_FIRST_NOT_BELOW(p->sharing, Qcow2SharedPlace, candidate, candidate);
    const Qcow2SharedPlace *s = i < p->sharing->len ? &g_array_index(p->sharing, Qcow2SharedPlace, i) : NULL;

    return s && s->candidate == candidate ? s : NULL;
}

/* A leaked L2 table of which nothing but where it lies tells what it mapped. */
static bool is_alone(const Qcow2Places *p, size_t i)
{
    const Qcow2Candidate *c = &g_array_index(p->candidates->items, Qcow2Candidate, i);

    return c->may_be_l2 && !c->in_use && !owner_of(p, c->cluster) && !sharing_of(p, i);
}

static uint64_t offset_of(const Qcow2Places *p, uint64_t candidate)
{
    return g_array_index(p->candidates->items, Qcow2Candidate, candidate).cluster << p->header->cluster_bits;
}

static void find_all_alone(Qcow2Places *p)
{
    for (uint64_t i = 0; i < p->candidates->items->len && !p->more_alone; i++) {
        if (is_alone(p, i)) {
            g_array_append_val(p->alone, i);
            p->more_alone = p->alone->len > QCOW2_MAX_EVIDENCE;
        }
    }
}

static void count_fitting(Qcow2Places *p)
{
    find_all_alone(p);
    for (guint i = 0; i < p->alone->len && !p->more_alone; i++) {
        uint64_t offset = offset_of(p, g_array_index(p->alone, uint64_t, i));

        for (guint k = 0; k < p->gaps->len; k++) {
            Qcow2MissingRow *gap = &g_array_index(p->gaps, Qcow2MissingRow, k);

            gap->fitting += qcow2_missing_row_fits(gap, offset);
        }
    }
}

/* True and *index set where exactly as many tables lie in a gap as it lacks, and this one in no other. */
static bool find_in_order(const Qcow2Places *p, size_t i, uint64_t *index)
{
    const Qcow2MissingRow *found = NULL;
    uint64_t before = 0;

    for (guint k = 0; k < p->gaps->len; k++) {
        const Qcow2MissingRow *gap = &g_array_index(p->gaps, Qcow2MissingRow, k);

        if (qcow2_missing_row_fits(gap, offset_of(p, i)) && found) {
            return false;
        }
        found = qcow2_missing_row_fits(gap, offset_of(p, i)) ? gap : found;
    }
    if (!found || found->fitting != found->n || p->unordered || p->more_gaps || p->more_alone) {
        return false;
    }
    for (guint k = 0; k < p->alone->len && g_array_index(p->alone, uint64_t, k) < i; k++) {
        before += qcow2_missing_row_fits(found, offset_of(p, g_array_index(p->alone, uint64_t, k)));
    }
    *index = found->first + before;
    return true;
}

/* ---- one place or several ---- */

static void guess(const Qcow2Places *p, size_t i, Qcow2Place *place)
{
    size_t k = first_not_below(p->alone->data, p->alone->len, sizeof(uint64_t), 0, i);

    place->certainty = IMAGE_CHECK_EVIDENCE_GUESSED;
    if (k < p->alone->len && g_array_index(p->alone, uint64_t, k) == i && !p->more_alone) {
        place->likely = g_array_index(p->likely, uint64_t, k);
        place->has_likely = place->likely != UINT64_MAX;
    }
    if (p->n_empty) {
        place->reason = qcow2_missing_text(p->gaps, p->n_empty);
    } else if (p->shared->len) {
        const SharedEntries *s = &g_array_index(p->shared, SharedEntries, 0);

        place->reason = qcow2_shared_text(s->indexes, s->table, offset_of(p, i));
    } else {
        place->reason = g_strdup("no L1 entry lacks a table; it may be that of a snapshot");
    }
}

/* The only L1 entry that has no table, where that is so. */
static bool only_place(const Qcow2Places *p, const Qcow2Candidate *c, uint64_t *index)
{
    if (p->n_empty != 1 || p->shared->len || p->alone->len != 1) {
        return false;
    }
    *index = g_array_index(p->gaps, Qcow2MissingRow, 0).first;
    return qcow2_place_possible(p->header, c, *index);
}

static void find_alone(const Qcow2Places *p, size_t i, Qcow2Place *place)
{
    const Qcow2Candidate *c = &g_array_index(p->candidates->items, Qcow2Candidate, i);
    /* that of a snapshot has no COPIED flags, nor have compressed clusters */
    bool doubtful = c->flags_wrong || c->may_be_counts || (!c->copied && p->check->snapshots.items->len);

    place->tree = QCOW2_TREE_ACTIVE;
    if (only_place(p, c, &place->index) && !doubtful) {
        place->known = true;
        place->certainty = IMAGE_CHECK_EVIDENCE_PROVED;
        place->reason = g_strdup_printf("L1 entry %" PRIu64 " is the only one without a table", place->index);
    } else if (find_in_order(p, i, &place->index) && qcow2_place_possible(p->header, c, place->index)) {
        place->known = true;
        /* of two entries that share a table one may be that of @c */
        doubtful |= p->shared->len || c->scattered || !qcow2_order_tells(p->gaps, p->n_used);
        place->certainty = doubtful ? IMAGE_CHECK_EVIDENCE_GUESSED : IMAGE_CHECK_EVIDENCE_INFERRED;
        place->reason = g_strdup_printf("L1 entry %" PRIu64 " has no table, and the tables around it in the file are "
                                        "those of the ranges before and behind",
                                        place->index);
    } else {
        guess(p, i, place);
    }
}

/* ---- tables in use ---- */

static const char *tree_name(const Qcow2Places *p, int tree)
{
    return tree == QCOW2_TREE_ACTIVE ? NULL : g_array_index(p->check->snapshots.items, Qcow2Snapshot, tree).name;
}

/* A tree that lacks a table where candidate @c is that of another; NULL: none. */
static const Qcow2Tree *tree_without(const Qcow2Places *p, const Qcow2Candidate *c, uint64_t *index)
{
    return qcow2_find_l1_index(p->check, c->cluster << p->header->cluster_bits, index)
               ? qcow2_tree_without(p->check, *index)
               : NULL;
}

static bool find_in_use(const Qcow2Places *p, const Qcow2Candidate *c, Qcow2Place *place)
{
    const Qcow2Tree *tree = tree_without(p, c, &place->index);
    const char *name = tree ? tree_name(p, tree->snapshot) : NULL;

    if (!tree) {
        return false;
    }
    place->known = true;
    place->tree = tree->snapshot;
    if (qcow2_count_sharing(p->by_index, place->index, false)) {
        place->certainty = IMAGE_CHECK_EVIDENCE_GUESSED;
    } else if (qcow2_trees_missing(p->check, place->index) > qcow2_surplus_of(p->check, c->cluster)) {
        place->certainty = IMAGE_CHECK_EVIDENCE_INFERRED;
    } else {
        place->certainty = IMAGE_CHECK_EVIDENCE_PROVED;
    }
    place->reason = g_strdup_printf("its count has room for one more reference, and L1 entry %" PRIu64 "%s%s is empty",
                                    place->index, name ? " of snapshot " : "", name ? name : "");
    return true;
}

bool qcow2_is_owned(const Qcow2Places *p, size_t i)
{
    return owner_of(p, g_array_index(p->candidates->items, Qcow2Candidate, i).cluster);
}

bool qcow2_find_owner(const Qcow2Places *p, size_t i, Qcow2Place *place)
{
    const Owned *owned = owner_of(p, g_array_index(p->candidates->items, Qcow2Candidate, i).cluster);
    const Qcow2Candidate *owner = owned ? qcow2_candidate_at(p->candidates, owned->l1) : NULL;

    *place = (Qcow2Place){0};
    if (!owner) {
        return false;
    }
    place->certainty = IMAGE_CHECK_EVIDENCE_PROVED;
    place->reason =
        g_strdup_printf("entry %" PRIu32 " of the lost %s table at 0x%" PRIx64 " refers to it", owned->index,
                        owner->snapshot_table ? "snapshot" : "L1", owned->l1 << p->header->cluster_bits);
    return true;
}

/*
 * How sure it is that the lost table @c is that of the disk at @index, of whose L1 table it lacks the entry. A snapshot
 * that lacks it too may have had the table; of several tables, one that the disk alone wrote to has COPIED flags.
 */
static ImageCheckEvidence class_of_sharing(const Qcow2Places *p, const Qcow2Candidate *c, uint64_t index)
{
    unsigned all = qcow2_count_sharing(p->by_index, index, false);

    if (all == 1) {
        return qcow2_trees_missing(p->check, index) == 1 && !c->flags_wrong ? IMAGE_CHECK_EVIDENCE_PROVED
                                                                            : IMAGE_CHECK_EVIDENCE_INFERRED;
    }
    return c->copied && qcow2_count_sharing(p->by_index, index, true) == 1 ? IMAGE_CHECK_EVIDENCE_INFERRED
                                                                           : IMAGE_CHECK_EVIDENCE_GUESSED;
}

static void find_sharing(const Qcow2Places *p, const Qcow2Candidate *c, const Qcow2SharedPlace *s, Qcow2Place *place)
{
    const Qcow2Tree *active = p->check->regions.active;
    bool empty = active && s->index < p->needed && qcow2_tree_misses(p->check, active, s->index);
    const char *name = tree_name(p, s->tree);

    place->tree = QCOW2_TREE_ACTIVE;
    place->index = s->index;
    place->certainty = empty ? class_of_sharing(p, c, s->index) : IMAGE_CHECK_EVIDENCE_INFERRED;
    /* if another one is likelier, the entry is not for this one */
    place->known = empty && (place->certainty < IMAGE_CHECK_EVIDENCE_GUESSED ||
                             qcow2_count_sharing(p->by_index, s->index, true) != 1);
    place->reason = g_strdup_printf("it shares clusters with the table of L1 entry %" PRIu64 " of %s%s", s->index,
                                    name ? "snapshot " : "the disk", name ? name : "");
}

bool qcow2_find_place(const Qcow2Places *p, size_t i, Qcow2Place *place)
{
    const Qcow2Candidate *c = &g_array_index(p->candidates->items, Qcow2Candidate, i);
    const Qcow2SharedPlace *sharing = sharing_of(p, i);

    if (qcow2_find_owner(p, i, place)) {
        return true;
    }
    if (c->in_use) {
        return find_in_use(p, c, place);
    }
    if (sharing) {
        find_sharing(p, c, sharing, place);
        return true;
    }
    find_alone(p, i, place);
    return true;
}

bool qcow2_place_exists(const Qcow2Places *p, size_t i)
{
    const Qcow2Candidate *c = &g_array_index(p->candidates->items, Qcow2Candidate, i);
    uint64_t index;

    return !c->in_use || owner_of(p, c->cluster) || tree_without(p, c, &index);
}

Qcow2Places *qcow2_places_new(Qcow2Check *check, const Qcow2Candidates *candidates, GError **errp)
{
    g_autoptr(Qcow2Places) p = g_new0(Qcow2Places, 1);
    const Qcow2HeaderFields *h = &check->image->header;
    Qcow2CandidateVisitor visitor = {names_tables, note_entries, p};

    p->check = check;
    p->header = h;
    p->candidates = candidates;
    p->needed = MIN(DIV_ROUND_UP(h->size, UINT64_C(1) << (h->l2_bits + h->cluster_bits)), h->l1_size);
    p->gaps = g_array_new(FALSE, FALSE, sizeof(Qcow2MissingRow));
    p->shared = g_array_new(FALSE, FALSE, sizeof(SharedEntries));
    smallest_init(&p->owned, sizeof(Owned), MAX_OWNED, compare_owned);
    p->alone = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    p->by_index = g_array_new(FALSE, FALSE, sizeof(Qcow2SharedPlace));
    find_shared(p);
    find_missing(p);
    p->sharing = qcow2_find_sharing(check, candidates, errp);
    if (!p->sharing || !qcow2_visit_candidates(check, candidates, &visitor)) {
        if (p->sharing) {
            qapi_set_out_of_memory(errp);
        }
        return NULL;
    }
    smallest_end(&p->owned);
    list_sharing(p);
    count_fitting(p);
    p->likely = qcow2_likely_places(h, p->gaps, candidates->items, p->alone);
    return g_steal_pointer(&p);
}

void qcow2_places_free(Qcow2Places *p)
{
    if (p) {
        g_array_unref(p->gaps);
        g_array_unref(p->shared);
        smallest_clear(&p->owned);
        g_array_unref(p->alone);
        g_array_unref(p->by_index);
        g_clear_pointer(&p->likely, g_array_unref);
        g_clear_pointer(&p->sharing, g_array_unref);
        g_free(p);
    }
}
