/*
 * Which L1 table is that of the disk.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/rescue/trees.h"

#include <string.h>

#include "block/qcow2/rescue/possible.h"
#include "util/number.h"
#include "util/search.h"

/* An L1 table that may be that of the disk. */
typedef struct L1Choice {
    uint64_t offset;
    uint64_t *entries;
    uint32_t n;
    uint32_t used;   /* entries that refer to something */
    uint32_t tables; /* of them those that refer to L2 tables, or to zeros */
    uint32_t wrong;  /* of them those whose flag or count is not that of the disk's table */
    bool by_header;  /* the header refers to it */
} L1Choice;

static void choice_clear(L1Choice *c)
{
    g_clear_pointer(&c->entries, g_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(L1Choice, choice_clear)

/* ---- snapshots ---- */

static void read_snapshot_tables(const Qcow2Found *found, Qcow2Trees *trees)
{
    uint64_t quota = found->in->source->length / 8; /* entries: tables that overlap do not add up */

    for (guint i = 0; i < found->snapshots->len; i++) {
        const Qcow2FoundSnapshot *s = &g_array_index(found->snapshots, Qcow2FoundSnapshot, i);
        Qcow2SnapshotL1 l1 = {.n = (uint32_t)MIN(s->l1_size, quota)};

        quota -= l1.n;
        l1.entries = qcow2_read_l1(found->in->source, qcow2_found_header(found), s->l1_offset, l1.n);
        l1.n = l1.entries ? l1.n : 0;
        g_array_append_val(trees->snapshots, l1);
        for (uint32_t k = 0; k < l1.n; k++) {
            uint64_t offset = l1.entries[k] & QCOW2_OFFSET_MASK;

            if (offset) {
                g_array_append_val(trees->snapshot_tables, offset);
            }
        }
    }
    ARRAY_SORT_U64(trees->snapshot_tables);
}

unsigned qcow2_trees_snapshot_refs(const Qcow2Trees *trees, uint64_t offset)
{
    const GArray *all = trees->snapshot_tables;

    return (unsigned)(first_not_below(all->data, all->len, sizeof(uint64_t), 0, offset + 1) -
                      first_not_below(all->data, all->len, sizeof(uint64_t), 0, offset));
}

static bool is_of_snapshot(const Qcow2Found *found, uint64_t offset)
{
    for (guint i = 0; i < found->snapshots->len; i++) {
        if (g_array_index(found->snapshots, Qcow2FoundSnapshot, i).l1_offset == offset) {
            return true;
        }
    }
    return false;
}

/* ---- L1 tables that may be the one ---- */

/* An L2 table that the disk alone refers to has a count of 1, and its entry the COPIED flag. */
static bool is_wrong(const Qcow2Found *found, const Qcow2Trees *trees, uint64_t entry)
{
    uint64_t offset = entry & QCOW2_OFFSET_MASK, count = qcow2_found_count(found, offset);

    if (count == UINT64_MAX) {
        return false;
    }
    return ((entry & QCOW2_OFLAG_COPIED) != 0) != (count == 1) ||
           count != 1 + (uint64_t)qcow2_trees_snapshot_refs(trees, offset);
}

static void judge(const Qcow2Found *found, const Qcow2Trees *trees, L1Choice *c)
{
    for (uint32_t i = 0; i < c->n; i++) {
        uint64_t offset = c->entries[i] & QCOW2_OFFSET_MASK;

        if (offset) {
            c->used++;
            c->tables += qcow2_found_referent(found, offset) != QCOW2_REFERENT_OTHER;
            c->wrong += is_wrong(found, trees, c->entries[i]);
        }
    }
}

/* Entries of @c and of the cluster behind it never refer to the same table. */
static bool is_continued(const Qcow2Found *found, const L1Choice *c, uint64_t offset)
{
    const Qcow2FoundTable *t = qcow2_table_at(found->geometry.tables, offset);

    if (!t || !t->is_l1 || is_of_snapshot(found, offset) || !qcow2_found_in_use(found, offset)) {
        return false;
    }
    for (uint32_t i = 0; i < c->n; i++) {
        uint64_t host = c->entries[i] & QCOW2_OFFSET_MASK;

        if (host && (host == t->first_host || host == t->last_host)) {
            return false;
        }
    }
    return true;
}

/* Reads the L1 table at @offset: @n entries, or, if that is 0, as many as there seem to be. */
static bool read_choice(const Qcow2Found *found, uint64_t offset, uint32_t n, L1Choice *c)
{
    const Qcow2HeaderFields *h = qcow2_found_header(found);
    uint32_t each = (uint32_t)(h->cluster_size / 8);

    *c = (L1Choice){.offset = offset, .n = n ? n : each};
    c->entries = qcow2_read_l1(found->in->source, h, offset, c->n);
    while (!n && c->entries && c->n + each <= QCOW2_MAX_L1_ENTRIES &&
           is_continued(found, c, offset + UINT64_C(8) * c->n)) {
        c->n += each;
        g_free(c->entries);
        c->entries = qcow2_read_l1(found->in->source, h, offset, c->n);
    }
    while (!n && c->entries && c->n && !c->entries[c->n - 1]) {
        c->n--;
    }
    return c->entries != NULL;
}

/* More tables are right, and fewer are wrong. */
static bool is_better(const L1Choice *a, const L1Choice *b)
{
    if (a->wrong * (uint64_t)b->used != b->wrong * (uint64_t)a->used) {
        return a->wrong * (uint64_t)b->used < b->wrong * (uint64_t)a->used;
    }
    return a->tables > b->tables;
}

/* The table that a header refers to, if it is one. */
static bool choose_by_header(const Qcow2Found *found, const Qcow2Trees *trees, L1Choice *c)
{
    const Qcow2Remains *all[] = {&found->remains, &found->metadata_remains};
    const Qcow2HeaderFields *h = qcow2_found_header(found);

    for (size_t i = 0; i < G_N_ELEMENTS(all); i++) {
        uint64_t offset = all[i]->header.l1_table_offset;
        uint32_t n = all[i]->header.l1_size;

        if (!all[i]->is_qcow2 || !offset || offset % h->cluster_size || is_of_snapshot(found, offset) ||
            offset >= found->in->source->length) {
            continue;
        }
        n = n <= QCOW2_MAX_L1_ENTRIES && qcow2_l1_size_fits(found, n) ? n : 0;
        if (read_choice(found, offset, n, c)) {
            judge(found, trees, c);
            c->by_header = i == 0;
            if (c->used && c->tables * 2 >= c->used) {
                return true;
            }
        }
        choice_clear(c);
    }
    return false;
}

/* The best of all L1 tables that were found. *n is how many there are. */
static bool choose_found(const Qcow2Found *found, const Qcow2Trees *trees, L1Choice *best, unsigned *n)
{
    uint64_t next = 0;

    *n = 0;
    for (guint i = 0; i < found->geometry.tables->len; i++) {
        const Qcow2FoundTable *t = &g_array_index(found->geometry.tables, Qcow2FoundTable, i);
        g_auto(L1Choice) c = {0};

        if (!t->is_l1 || t->offset < next || is_of_snapshot(found, t->offset) ||
            !qcow2_found_in_use(found, t->offset) || !read_choice(found, t->offset, 0, &c)) {
            continue;
        }
        next = t->offset + UINT64_C(8) * c.n;
        judge(found, trees, &c);
        if (!(*n)++ || is_better(&c, best)) {
            L1Choice worse = *best;

            *best = c;
            c = worse;
        }
    }
    return *n > 0;
}

/* ---- what it refers to ---- */

Qcow2Slot *qcow2_trees_slot(Qcow2Trees *trees, uint64_t i)
{
    Qcow2Slot none = {.class = IMAGE_RESCUE_CLASS_MISSING};

    g_assert(i < QCOW2_MAX_L1_ENTRIES);
    while (trees->slots->len <= i) {
        g_array_append_val(trees->slots, none);
    }
    return &g_array_index(trees->slots, Qcow2Slot, i);
}

static void fill_slots(const Qcow2Found *found, Qcow2Trees *trees, const L1Choice *c, ImageRescueClass class)
{
    trees->l1_offset = c->offset;
    trees->l1_size = c->n;
    for (uint32_t i = 0; i < c->n; i++) {
        uint64_t offset = c->entries[i] & QCOW2_OFFSET_MASK;
        Qcow2Slot *slot = qcow2_trees_slot(trees, i);

        slot->known_empty = !offset;
        slot->class = offset ? IMAGE_RESCUE_CLASS_MISSING : class;
        switch (offset ? qcow2_found_referent(found, offset) : QCOW2_REFERENT_OTHER) {
        case QCOW2_REFERENT_TABLE:
            slot->table = offset;
            slot->class = class;
            break;
        case QCOW2_REFERENT_BLANK:
            slot->table = offset;
            slot->blank = true;
            break;
        case QCOW2_REFERENT_OTHER:
            break;
        }
    }
}

/*
 * All L2 tables that are in use belong to the disk or to a snapshot. Without the counts, tables that were given up
 * long ago look like any other.
 */
static bool is_complete(const Qcow2Found *found, const Qcow2Trees *trees, const L1Choice *c)
{
    g_autoptr(GHashTable) named = g_hash_table_new(hash_u64, g_int64_equal);
    bool complete = found->counts != NULL;

    for (uint32_t i = 0; i < c->n; i++) {
        c->entries[i] &= QCOW2_OFFSET_MASK | QCOW2_OFLAG_COPIED;
    }
    for (uint32_t i = 0; i < c->n; i++) {
        const Qcow2FoundTable *t = qcow2_table_at(found->geometry.tables, c->entries[i] & QCOW2_OFFSET_MASK);

        if (t) {
            g_hash_table_add(named, (gpointer)&t->offset);
        }
    }
    for (guint i = 0; complete && i < found->geometry.tables->len; i++) {
        const Qcow2FoundTable *t = &g_array_index(found->geometry.tables, Qcow2FoundTable, i);

        complete = !t->is_l2 || !t->copied || !qcow2_found_in_use(found, t->offset) ||
                   g_hash_table_contains(named, &t->offset) || qcow2_trees_snapshot_refs(trees, t->offset);
    }
    return complete;
}

static ImageRescueClass class_of(const Qcow2Found *found, const Qcow2Trees *trees, const L1Choice *c, unsigned n)
{
    if (c->by_header && c->wrong * 16 <= c->used) {
        return IMAGE_RESCUE_CLASS_PROVED;
    }
    return n == 1 && !c->wrong && is_complete(found, trees, c) ? IMAGE_RESCUE_CLASS_PROVED
                                                               : IMAGE_RESCUE_CLASS_INFERRED;
}

/* The header is sound if most of what it says about tables is true. */
static bool is_header_sound(const Qcow2Found *found, const Qcow2Trees *trees)
{
    const Qcow2HeaderFields *r = &found->remains.header, *h = qcow2_found_header(found);
    unsigned true_ones = 0;

    true_ones += r->cluster_bits == h->cluster_bits;
    true_ones += trees->l1_offset && r->l1_table_offset == trees->l1_offset;
    true_ones += h->refcount_table_offset && r->refcount_table_offset == h->refcount_table_offset;
    true_ones += r->refcount_order == h->refcount_order;
    return found->remains.is_qcow2 && true_ones >= 2;
}

void qcow2_find_trees(const Qcow2Found *found, Qcow2Trees *trees)
{
    g_auto(L1Choice) by_header = {0};
    g_auto(L1Choice) best = {0};
    unsigned n;

    *trees = (Qcow2Trees){.slots = g_array_new(FALSE, FALSE, sizeof(Qcow2Slot)),
                          .snapshots = g_array_new(FALSE, FALSE, sizeof(Qcow2SnapshotL1)),
                          .snapshot_tables = g_array_new(FALSE, FALSE, sizeof(uint64_t))};
    read_snapshot_tables(found, trees);
    if (choose_by_header(found, trees, &by_header)) {
        fill_slots(found, trees, &by_header, class_of(found, trees, &by_header, 1));
    } else if (choose_found(found, trees, &best, &n)) {
        fill_slots(found, trees, &best, class_of(found, trees, &best, n));
    }
    trees->header_sound = is_header_sound(found, trees);
}

void qcow2_trees_clear(Qcow2Trees *trees)
{
    for (guint i = 0; trees->snapshots && i < trees->snapshots->len; i++) {
        g_free(g_array_index(trees->snapshots, Qcow2SnapshotL1, i).entries);
    }
    g_clear_pointer(&trees->slots, g_array_unref);
    g_clear_pointer(&trees->snapshots, g_array_unref);
    g_clear_pointer(&trees->snapshot_tables, g_array_unref);
    g_clear_pointer(&trees->size_from, g_free);
}
