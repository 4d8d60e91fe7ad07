/*
 * Evidence: which leaked clusters are the last copy of somebody's data.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/evidence.h"

#include "block/qcow2/inspect/evidence-cut.h"
#include "block/qcow2/inspect/evidence-emptied.h"
#include "block/qcow2/inspect/evidence-places.h"
#include "block/qcow2/inspect/evidence-surplus.h"
#include "util/number.h"

#define SNAPSHOT_BYTES 65536u /* of a snapshot table that are kept, as its length is not known */
#define MAX_L1_TAIL    64     /* clusters of zeros behind the last that tells what it is */

typedef struct Finder {
    Qcow2Check *check;
    const Qcow2HeaderFields *header;
    Qcow2LostData *lost;
    Qcow2Candidates candidates;
    Qcow2Places *places;
} Finder;

/* ---- what is kept ---- */

/* Keeps those of the @n clusters from @first on that have a surplus. Any thread may call it. */
static bool keep(const Finder *f, uint64_t first, uint64_t n)
{
    Qcow2Surplus surplus;

    for (uint64_t at = first; qcow2_next_surplus(f->check, at, first + n, &surplus); at = surplus.first + surplus.n) {
        if (!refmap_add(f->lost->kept, surplus.first, surplus.n, 1)) {
            return false;
        }
    }
    return true;
}

static bool keep_extent(const Finder *f, const Qcow2Extent *extent)
{
    uint64_t first = extent->offset >> f->header->cluster_bits;
    uint64_t last = (extent->offset + extent->length - 1) >> f->header->cluster_bits;

    return keep(f, first, last - first + 1);
}

static bool keep_mapped(const Finder *f, const Qcow2L2Result *contents)
{
    bool ok = true;

    for (uint32_t i = 0; ok && i < contents->n_runs; i++) {
        ok = keep(f, contents->runs[i].offset >> f->header->cluster_bits, contents->runs[i].n);
    }
    for (guint i = 0; ok && i < contents->extents->len; i++) {
        ok = keep_extent(f, &g_array_index(contents->extents, Qcow2Extent, i));
    }
    return ok;
}

/* An L1 table may have clusters of nothing but zeros behind those that tell what they are. */
static bool keep_l1(const Finder *f, uint64_t cluster)
{
    uint64_t clusters = DIV_ROUND_UP((uint64_t)f->header->l1_size * 8, f->header->cluster_size);

    return keep(f, cluster, MIN(clusters, MAX_L1_TAIL));
}

static bool is_kept(const void *opaque, size_t i, const Qcow2Candidate *c)
{
    return c->snapshot_table || qcow2_place_exists(((const Finder *)opaque)->places, i);
}

static bool keep_candidate(void *opaque, size_t i, const uint8_t *bytes, const Qcow2L2Result *contents)
{
    const Finder *f = opaque;
    const Qcow2Candidate *c = &g_array_index(f->candidates.items, Qcow2Candidate, i);

    if (c->snapshot_table) {
        return keep(f, c->cluster, DIV_ROUND_UP(SNAPSHOT_BYTES, f->header->cluster_size));
    }
    return keep(f, c->cluster, 1) && (!c->may_be_l1 || keep_l1(f, c->cluster)) &&
           (!c->may_be_l2 || qcow2_has_data_file(f->header) || keep_mapped(f, contents));
}

static bool keep_unread(const Finder *f)
{
    for (guint i = 0; i < f->candidates.unread->len; i++) {
        const Qcow2ClusterRange *range = &g_array_index(f->candidates.unread, Qcow2ClusterRange, i);

        f->lost->unreadable += range->n;
        if (!keep(f, range->first, range->n)) {
            return false;
        }
    }
    return true;
}

static uint64_t count_kept(const Finder *f)
{
    uint64_t end = refmap_clusters(f->lost->kept), kept = 0, n;
    const Counters *piece;

    if (f->lost->everything) {
        return qcow2_count_surplus(f->check, 0, refmap_clusters(f->check->counting.refs));
    }
    for (uint64_t index = 0; (piece = refmap_next_piece(f->lost->kept, &index)); index++) {
        uint64_t size = MIN(end - (index << COUNTERS_PER_PIECE_BITS), COUNTERS_PER_PIECE), count;

        for (uint64_t i = 0; i < size; i += n) {
            n = counters_same(piece, i, size, &count);
            kept += count ? n : 0;
        }
    }
    return kept;
}

/* ---- what is told of it ---- */

static void set_entry(const Finder *f, Qcow2Evidence *e, int tree, uint64_t index)
{
    uint64_t table = f->header->l1_table_offset;

    if (tree != QCOW2_TREE_ACTIVE) {
        table = g_array_index(f->check->snapshots.items, Qcow2Snapshot, tree).l1_table_offset;
    }
    e->has_entry = e->has_guest = true;
    e->tree = tree;
    e->l1_index = index;
    e->entry_offset = table + index * 8;
    e->guest_size = UINT64_C(1) << (f->header->l2_bits + f->header->cluster_bits);
    e->guest_offset = index * e->guest_size;
}

static void add_l2(Finder *f, size_t i, const Qcow2Candidate *c)
{
    Qcow2Evidence e = {.kind = c->in_use ? QCOW2_EVIDENCE_L2_USER : QCOW2_EVIDENCE_L2};
    Qcow2Place place;

    if (!qcow2_find_place(f->places, i, &place)) {
        return;
    }
    e.offset = c->cluster << f->header->cluster_bits;
    e.size = f->header->cluster_size;
    e.named = c->named;
    e.lost = c->surplus;
    e.certainty = place.certainty;
    e.reason = place.reason;
    e.has_likely = place.has_likely;
    e.likely = place.likely;
    if (place.known) {
        set_entry(f, &e, place.tree, place.index);
    }
    g_array_append_val(f->lost->items, e);
}

/*
 * How many candidates from @i on, in neighbouring clusters, are one L1 table: as many as one for this disk takes. What
 * a lost snapshot table refers to is a table of its own.
 */
static size_t count_in_l1(const Finder *f, size_t i)
{
    const Qcow2Candidate *c = &g_array_index(f->candidates.items, Qcow2Candidate, i);
    uint64_t most = DIV_ROUND_UP((uint64_t)f->header->l1_size * 8, f->header->cluster_size);
    size_t n = 1;

    while (n < most && i + n < f->candidates.items->len && c[n].may_be_l1 && c[n].cluster == c->cluster + n &&
           !qcow2_is_owned(f->places, i + n)) {
        n++;
    }
    return n;
}

/* The lost L1 table that begins with candidate @i and goes on in the next clusters. Returns the candidates that it is.
 */
static size_t add_l1(Finder *f, size_t i, uint64_t n_l1)
{
    const Qcow2Candidate *c = &g_array_index(f->candidates.items, Qcow2Candidate, i);
    bool only = n_l1 == 1 && qcow2_places_all_empty(f->places);
    Qcow2Evidence e = {.kind = QCOW2_EVIDENCE_L1, .offset = c->cluster << f->header->cluster_bits};
    Qcow2Place place;
    size_t n = count_in_l1(f, i);

    for (size_t k = 0; k < n; k++) {
        e.named += c[k].named;
        e.lost += c[k].surplus;
    }
    e.size = n << f->header->cluster_bits;
    e.of_snapshot = qcow2_find_owner(f->places, i, &place);
    e.certainty = only || e.of_snapshot ? IMAGE_CHECK_EVIDENCE_PROVED : IMAGE_CHECK_EVIDENCE_GUESSED;
    e.reason = e.of_snapshot ? place.reason
               : only        ? g_strdup("the L1 table of the disk has no table, and no other L1 table is lost")
                             : g_strdup("it may be that of the disk before, or of a snapshot");
    g_array_append_val(f->lost->items, e);
    /* cppcheck-suppress memleak ; the list has it */
    return n;
}

static void add_snapshot_table(Finder *f, const Qcow2Candidate *c)
{
    Qcow2Evidence e = {
        .kind = QCOW2_EVIDENCE_SNAPSHOT_TABLE,
        .certainty = IMAGE_CHECK_EVIDENCE_GUESSED,
        .offset = c->cluster << f->header->cluster_bits,
        .size = f->header->cluster_size,
        .reason = g_strdup("the L1 table that its first entry refers to is leaked"),
    };

    g_array_append_val(f->lost->items, e);
}

static uint64_t count_l1(const Finder *f)
{
    uint64_t n = 0;

    for (size_t i = 0; i < f->candidates.items->len;) {
        bool is_l1 = g_array_index(f->candidates.items, Qcow2Candidate, i).may_be_l1;

        n += is_l1;
        i += is_l1 ? count_in_l1(f, i) : 1;
    }
    return n;
}

static void add_items(Finder *f)
{
    uint64_t n_l1 = count_l1(f);

    for (size_t i = 0; i < f->candidates.items->len;) {
        const Qcow2Candidate *c = &g_array_index(f->candidates.items, Qcow2Candidate, i);

        if (f->lost->items->len >= QCOW2_MAX_EVIDENCE) {
            f->lost->unlisted += qcow2_place_exists(f->places, i++);
        } else if (c->may_be_l1) {
            i += add_l1(f, i, n_l1);
        } else if (c->snapshot_table) {
            add_snapshot_table(f, c);
            i++;
        } else {
            add_l2(f, i++, c);
        }
    }
}

/* ---- all of it ---- */

static bool find(Finder *f, GError **errp)
{
    Qcow2CandidateVisitor keeper = {is_kept, keep_candidate, f};

    if (!qcow2_find_candidates(f->check, &f->candidates, errp)) {
        return false;
    }
    f->lost->everything |= f->candidates.too_many;
    f->places = qcow2_places_new(f->check, &f->candidates, errp);
    if (!f->places) {
        return false;
    }
    if (!qcow2_visit_candidates(f->check, &f->candidates, &keeper) || !keep_unread(f)) {
        return qapi_set_out_of_memory(errp);
    }
    add_items(f);
    return qcow2_find_emptied(f->check, f->lost, errp);
}

bool qcow2_find_lost_data(Qcow2Check *check, Qcow2LostData *lost, GError **errp)
{
    Finder f = {.check = check, .header = &check->image->header, .lost = lost};
    Qcow2Surplus surplus;
    bool ok;

    qcow2_lost_data_init(lost, refmap_clusters(check->counting.refs));
    qcow2_find_cut_off(check, lost);
    if (!qcow2_next_surplus(check, 0, refmap_clusters(check->counting.refs), &surplus)) {
        return true;
    }
    ok = find(&f, errp);
    lost->n_kept = ok ? count_kept(&f) : 0;
    qcow2_places_free(f.places);
    qcow2_candidates_clear(&f.candidates);
    return ok;
}
