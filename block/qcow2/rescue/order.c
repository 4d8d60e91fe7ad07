/*
 * The order of lost L2 tables.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/rescue/order.h"

#include "block/qcow2/rescue/disk-size.h"
#include "block/qcow2/rescue/free-places.h"
#include "block/qcow2/rescue/lost.h"
#include "block/qcow2/rescue/matches.h"
#include "block/qcow2/rescue/visit.h"
#include "util/number.h"

#define MANY_SNAPSHOTS 256u /* that are not looked at one by one */
#define NEAR           4u /* clusters: a refcount block, or another piece of metadata, may come between a table and the next */

typedef struct Ordering {
    const Qcow2Found *found;
    Qcow2Trees *trees;
    GPtrArray *lost;  /* those without a place so far */
    bool has_doubles; /* two entries refer to one table */
} Ordering;

uint64_t *qcow2_metadata_l1(const Qcow2Found *found, uint32_t *n)
{
    const Qcow2HeaderFields *r = &found->metadata_remains.header;

    *n = r->l1_size;
    return found->in->metadata
               ? qcow2_read_l1(found->in->metadata, qcow2_found_header(found), r->l1_table_offset, r->l1_size)
               : NULL;
}

/* An L1 table of the disk that is being made has no more entries than the disk takes. */
static bool is_possible(const Ordering *o, uint64_t i)
{
    uint64_t reach = qcow2_table_reach(qcow2_found_header(o->found));

    return i < QCOW2_MAX_L1_ENTRIES && i < INT64_MAX / reach &&
           (!o->trees->size_known || i < MAX(DIV_ROUND_UP(o->trees->size, reach), o->trees->slots->len));
}

static bool is_free(const Ordering *o, uint64_t i)
{
    return is_possible(o, i) && (i >= o->trees->slots->len || !g_array_index(o->trees->slots, Qcow2Slot, i).table);
}

static void place(Ordering *o, uint64_t i, uint64_t table, ImageRescueClass class)
{
    Qcow2Slot *slot = qcow2_trees_slot(o->trees, i);

    *slot = (Qcow2Slot){.table = table, .class = class};
}

/* ---- tables in a wrong place ---- */

/*
 * Takes a table out of its slot if earlier metadata has it in another one only, which has no other table today: no
 * guest moves a table. It is lost then, and put where its clusters are.
 */
static void take_out_moved(Ordering *o)
{
    g_autoptr(GHashTable) places = g_hash_table_new(hash_u64, g_int64_equal); /* by the table: its index, plus 1 */
    GArray *slots = o->trees->slots;
    uint32_t n;
    g_autofree uint64_t *entries = qcow2_metadata_l1(o->found, &n);

    if (!entries) {
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        entries[i] &= QCOW2_OFFSET_MASK;
        g_hash_table_insert(places, &entries[i], GUINT_TO_POINTER(i + 1));
    }
    for (guint i = 0; i < slots->len; i++) {
        uint64_t table = g_array_index(slots, Qcow2Slot, i).table, other;
        guint place = table ? GPOINTER_TO_UINT(g_hash_table_lookup(places, &table)) : 0;

        if (!place || (i < n && entries[i] == table)) {
            continue;
        }
        other = place <= slots->len ? g_array_index(slots, Qcow2Slot, place - 1).table : 0;
        if (!other || other == table) {
            g_array_index(slots, Qcow2Slot, i) = (Qcow2Slot){.class = IMAGE_RESCUE_CLASS_MISSING};
        }
    }
}

/* One of two entries of the disk that refer to one table is wrong, and nothing tells which. */
static void doubt_doubles(Ordering *o)
{
    g_autoptr(GHashTable) slots = g_hash_table_new(hash_u64, g_int64_equal); /* by their table */

    for (guint i = 0; i < o->trees->slots->len; i++) {
        Qcow2Slot *slot = &g_array_index(o->trees->slots, Qcow2Slot, i);
        Qcow2Slot *before = slot->table ? g_hash_table_lookup(slots, &slot->table) : NULL;

        if (before) {
            o->has_doubles = true;
            before->class = MAX(before->class, IMAGE_RESCUE_CLASS_GUESSED);
            slot->class = MAX(slot->class, IMAGE_RESCUE_CLASS_GUESSED);
        } else if (slot->table) {
            g_hash_table_insert(slots, &slot->table, slot);
        }
    }
}

/* ---- by snapshots ---- */

/* How many snapshots, all if there are many, have no table at L1 index @i: what was lost there may be theirs. */
static uint64_t snapshots_without(const Ordering *o, uint64_t i)
{
    uint64_t n = 0;

    if (o->trees->snapshots->len > MANY_SNAPSHOTS) {
        return o->trees->snapshots->len;
    }
    for (guint s = 0; s < o->trees->snapshots->len; s++) {
        const Qcow2SnapshotL1 *l1 = &g_array_index(o->trees->snapshots, Qcow2SnapshotL1, s);

        n += i < l1->n && !(l1->entries[i] & QCOW2_OFFSET_MASK);
    }
    return n;
}

/*
 * A table of a snapshot with one reference more than the snapshots have is the disk's too. Where counts are unknown,
 * the disk may have one of its own.
 */
static void place_shared_tables(Ordering *o, bool only_certain)
{
    for (guint s = 0; s < o->trees->snapshots->len; s++) {
        const Qcow2SnapshotL1 *l1 = &g_array_index(o->trees->snapshots, Qcow2SnapshotL1, s);

        for (uint32_t i = 0; i < l1->n; i++) {
            uint64_t table = l1->entries[i] & QCOW2_OFFSET_MASK, count = qcow2_found_count(o->found, table);
            const Qcow2FoundTable *t = qcow2_table_at(o->found->geometry.tables, table);
            uint64_t users = qcow2_trees_snapshot_refs(o->trees, table);
            bool spare = count < UINT64_MAX && count > users;

            if (t && t->is_l2 && is_free(o, i) && (spare || (!only_certain && count == UINT64_MAX))) {
                place(o, i, table,
                      spare && count - users > snapshots_without(o, i) ? IMAGE_RESCUE_CLASS_PROVED
                                                                       : IMAGE_RESCUE_CLASS_INFERRED);
            }
        }
    }
}

/* ---- by matches ---- */

/* The class of a place that a match with a snapshot or, if @by_metadata, with earlier metadata speaks for. */
static ImageRescueClass class_of(const Ordering *o, const Qcow2Match *m, bool by_metadata)
{
    bool most = m->shared * 2 >= m->looked_up;

    if (!o->found->counts) {
        return by_metadata && m->same_table && most ? IMAGE_RESCUE_CLASS_PROVED : IMAGE_RESCUE_CLASS_INFERRED;
    }
    if (by_metadata) {
        return most && (m->same_table || m->shared > 1) ? IMAGE_RESCUE_CLASS_PROVED : IMAGE_RESCUE_CLASS_INFERRED;
    }
    return snapshots_without(o, m->index) ? IMAGE_RESCUE_CLASS_INFERRED : IMAGE_RESCUE_CLASS_PROVED;
}

/* Of the tables that match one place, the one that shares most gets it. */
typedef struct Contest {
    const Qcow2Match *best;
    bool several; /* none of them is certain then */
} Contest;

static bool is_usable(const Ordering *o, const Qcow2Match *m)
{
    return m->shared && !m->conflict && is_free(o, m->index);
}

/* Index: Contest. */
static GHashTable *hold_contests(const Ordering *o, const GArray *matches)
{
    GHashTable *contests = g_hash_table_new_full(hash_u64, g_int64_equal, NULL, g_free);

    for (guint i = 0; i < matches->len; i++) {
        const Qcow2Match *m = &g_array_index(matches, Qcow2Match, i);
        Contest *c = is_usable(o, m) ? g_hash_table_lookup(contests, &m->index) : NULL;

        if (c) {
            c->several = true;
            c->best = m->shared > c->best->shared ? m : c->best;
        } else if (is_usable(o, m)) {
            c = g_new(Contest, 1);
            *c = (Contest){.best = m};
            g_hash_table_insert(contests, (gpointer)&m->index, c);
        }
    }
    return contests;
}

static void place_matches(Ordering *o, const GArray *matches, bool by_metadata)
{
    g_autoptr(GHashTable) contests = hold_contests(o, matches);
    guint kept = 0;

    for (guint i = 0; i < matches->len; i++) {
        const Qcow2Match *m = &g_array_index(matches, Qcow2Match, i);
        const Qcow2FoundTable *t = g_ptr_array_index(o->lost, i);
        const Contest *c = g_hash_table_lookup(contests, &m->index);

        if (c && c->best == m) {
            place(o, m->index, t->offset, c->several ? IMAGE_RESCUE_CLASS_INFERRED : class_of(o, m, by_metadata));
        } else {
            g_ptr_array_index(o->lost, kept++) = (gpointer)t;
        }
    }
    g_ptr_array_set_size(o->lost, (gint)kept);
}

static bool place_by(Ordering *o, BlockSource *source, GArray *known, bool by_metadata, GError **errp)
{
    g_autoptr(GArray) matches = NULL;

    if (!known->len || !o->lost->len) {
        return true;
    }
    matches = qcow2_match_tables(o->found, o->lost, source, known, errp);
    if (!matches) {
        return false;
    }
    place_matches(o, matches, by_metadata);
    return true;
}

static bool place_by_snapshots(Ordering *o, GError **errp)
{
    g_autoptr(GArray) known = g_array_new(FALSE, FALSE, sizeof(Qcow2TableToRead));

    for (guint s = 0; s < o->trees->snapshots->len; s++) {
        const Qcow2SnapshotL1 *l1 = &g_array_index(o->trees->snapshots, Qcow2SnapshotL1, s);

        qcow2_add_known_tables(known, l1->entries, l1->n);
    }
    return place_by(o, o->found->in->source, known, false, errp);
}

static bool place_by_metadata(Ordering *o, GError **errp)
{
    g_autoptr(GArray) known = g_array_new(FALSE, FALSE, sizeof(Qcow2TableToRead));
    uint32_t n;
    g_autofree uint64_t *entries = qcow2_metadata_l1(o->found, &n);

    if (entries) {
        qcow2_add_known_tables(known, entries, n);
    }
    return place_by(o, o->found->in->metadata, known, true, errp);
}

/* ---- by the order in the file ---- */

/* A table that is placed, or is to be. */
typedef struct InFile {
    const Qcow2FoundTable *table;
    uint64_t slot; /* UINT64_MAX: none so far */
} InFile;

static int compare_in_file(const void *a, const void *b)
{
    const InFile *x = a, *y = b;

    return (x->table->offset > y->table->offset) - (x->table->offset < y->table->offset);
}

/* All tables of the disk, in the order of the file. */
static GArray *list_in_file(const Ordering *o)
{
    GArray *all = g_array_new(FALSE, FALSE, sizeof(InFile));

    for (guint i = 0; i < o->trees->slots->len; i++) {
        InFile in_file = {qcow2_table_at(o->found->geometry.tables, g_array_index(o->trees->slots, Qcow2Slot, i).table),
                          i};

        if (in_file.table) {
            g_array_append_val(all, in_file);
        }
    }
    for (guint i = 0; i < o->lost->len; i++) {
        InFile in_file = {g_ptr_array_index(o->lost, i), UINT64_MAX};

        g_array_append_val(all, in_file);
    }
    g_array_sort(all, compare_in_file);
    return all;
}

/*
 * Writing in order goes on from the last cluster that one table maps to the first of the next, whose table is allocated
 * between the two.
 */
static bool goes_on(const Ordering *o, const Qcow2FoundTable *a, const Qcow2FoundTable *b)
{
    const Qcow2HeaderFields *h = qcow2_found_header(o->found);

    return a->last_entry == (1u << h->l2_bits) - 1 && b->first_entry == 0 && a->last_host < b->offset &&
           b->offset - a->last_host <= NEAR * h->cluster_size && b->first_host > b->offset &&
           b->first_host - b->offset <= NEAR * h->cluster_size;
}

static GArray *list_free(const Ordering *o)
{
    GArray *places = qcow2_free_places_new();

    for (guint i = 0; i < o->trees->slots->len; i++) {
        if (!is_free(o, i)) {
            qcow2_take_place(places, i);
        }
    }
    return places;
}

/* The first place from @from on that is free, or else the first of all; UINT64_MAX if there is none. */
static uint64_t next_free(const Ordering *o, GArray *places, uint64_t from)
{
    uint64_t i = qcow2_free_place(places, from);

    i = is_possible(o, i) ? i : qcow2_free_place(places, 0);
    return is_possible(o, i) ? i : UINT64_MAX;
}

/* All lost tables get a place, in the order of the file, while there are free ones. */
static void place_in_order(Ordering *o)
{
    g_autoptr(GArray) all = list_in_file(o);
    g_autoptr(GArray) places = list_free(o);
    uint64_t last = UINT64_MAX; /* the slot of the table before */
    const Qcow2FoundTable *before = NULL;
    bool sure = false; /* the place of the table before is at least inferred */
    bool full = false;

    g_ptr_array_set_size(o->lost, 0);
    for (guint i = 0; i < all->len; i++) {
        InFile *f = &g_array_index(all, InFile, i);
        bool linked = before && goes_on(o, before, f->table);

        if (f->slot == UINT64_MAX) {
            f->slot = full ? UINT64_MAX : next_free(o, places, last + 1);
            if (f->slot == UINT64_MAX) {
                g_ptr_array_add(o->lost, (gpointer)f->table);
                full = true;
                before = NULL;
                continue;
            }
            qcow2_take_place(places, f->slot);
            sure = sure && linked && f->slot == last + 1;
            place(o, f->slot, f->table->offset, sure ? IMAGE_RESCUE_CLASS_INFERRED : IMAGE_RESCUE_CLASS_GUESSED);
        } else {
            sure = g_array_index(o->trees->slots, Qcow2Slot, f->slot).class <= IMAGE_RESCUE_CLASS_INFERRED;
        }
        before = f->table;
        last = f->slot;
    }
}

/* As many tables as places, written in order without a gap: that leaves one order. */
static void confirm_full_order(Ordering *o)
{
    const Qcow2FoundTable *before = NULL;
    uint64_t needed = DIV_ROUND_UP(o->trees->size, qcow2_table_reach(qcow2_found_header(o->found)));

    if (!o->trees->size_known || o->trees->slots->len < needed) {
        return;
    }
    for (guint i = 0; i < o->trees->slots->len; i++) {
        const Qcow2FoundTable *t =
            qcow2_table_at(o->found->geometry.tables, g_array_index(o->trees->slots, Qcow2Slot, i).table);

        if (!t || (before && !goes_on(o, before, t))) {
            return;
        }
        before = t;
    }
    for (guint i = 0; i < o->trees->slots->len; i++) {
        Qcow2Slot *slot = &g_array_index(o->trees->slots, Qcow2Slot, i);

        slot->class = MIN(slot->class, IMAGE_RESCUE_CLASS_INFERRED);
    }
}

/*
 * One table that is lost, and one place for it: that is proof if the counts say that the table is in use, no snapshot
 * may have had it, and no place has the table of another.
 */
static void place_only_one(Ordering *o)
{
    uint64_t needed = DIV_ROUND_UP(o->trees->size, qcow2_table_reach(qcow2_found_header(o->found))), place_at = 0,
             n = 0;

    if (o->lost->len != 1 || o->has_doubles || o->found->remains.header.l1_size != needed || !o->trees->size_known ||
        !o->trees->header_sound || !o->found->counts || o->found->snapshots->len ||
        o->found->remains.header.nb_snapshots ||
        ((const Qcow2FoundTable *)g_ptr_array_index(o->lost, 0))->copied == false) {
        return;
    }
    for (uint64_t i = 0; i < needed && n < 2; i++) {
        if (is_free(o, i)) {
            place_at = i;
            n++;
        }
    }
    if (n == 1) {
        place(o, place_at, ((const Qcow2FoundTable *)g_ptr_array_index(o->lost, 0))->offset, IMAGE_RESCUE_CLASS_PROVED);
        g_ptr_array_set_size(o->lost, 0);
    }
}

/* ---- all of it ---- */

/*
 * If all tables that are in use have their places, the other places have none. Tables without data were not looked for,
 * so that it is not proved.
 */
static void believe_empty_slots(Ordering *o)
{
    uint64_t needed = DIV_ROUND_UP(o->trees->size, qcow2_table_reach(qcow2_found_header(o->found)));
    GArray *slots = o->trees->slots;

    for (guint i = 0; i < slots->len; i++) {
        const Qcow2Slot *slot = &g_array_index(slots, Qcow2Slot, i);

        if (slot->blank || (slot->table && slot->class > IMAGE_RESCUE_CLASS_INFERRED)) {
            return;
        }
    }
    if (!o->found->counts || !slots->len || o->lost->len || needed > QCOW2_MAX_L1_ENTRIES) {
        return;
    }
    qcow2_trees_slot(o->trees, MAX(needed, 1) - 1);
    for (guint i = 0; i < slots->len; i++) {
        Qcow2Slot *slot = &g_array_index(slots, Qcow2Slot, i);

        if (!slot->table && !slot->known_empty) {
            slot->known_empty = true;
            slot->class = IMAGE_RESCUE_CLASS_INFERRED;
        }
    }
}

/* What an L1 table says to be empty may have had a table that is lost. */
static void doubt_empty_slots(Ordering *o)
{
    for (guint i = 0; i < o->trees->slots->len; i++) {
        Qcow2Slot *slot = &g_array_index(o->trees->slots, Qcow2Slot, i);

        if (slot->known_empty && !slot->table) {
            slot->known_empty = false;
            slot->class = IMAGE_RESCUE_CLASS_MISSING;
        }
    }
}

bool qcow2_place_tables(const Qcow2Found *found, Qcow2Trees *trees, GPtrArray *unplaced, GError **errp)
{
    Ordering o = {.found = found, .trees = trees};
    bool ok;

    take_out_moved(&o);
    doubt_doubles(&o);
    place_shared_tables(&o, true);
    o.lost = qcow2_find_lost_tables(found, trees, errp);
    if (!o.lost) {
        return false;
    }
    if (o.lost->len) {
        doubt_empty_slots(&o);
    }
    ok = place_by_snapshots(&o, errp) && place_by_metadata(&o, errp);
    if (ok) {
        place_only_one(&o);
        place_in_order(&o);
        if (!trees->l1_offset) {
            place_shared_tables(&o, false);
        }
        confirm_full_order(&o);
    }
    qcow2_find_disk_size(found, trees);
    believe_empty_slots(&o);
    for (guint i = 0; i < o.lost->len; i++) {
        g_ptr_array_add(unplaced, g_ptr_array_index(o.lost, i));
    }
    g_ptr_array_unref(o.lost);
    return ok;
}
