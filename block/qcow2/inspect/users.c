/*
 * Who uses given clusters.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/users.h"

#include <errno.h>
#include <stddef.h>

#include "block/qcow2/check/collect.h"
#include "block/qcow2/format/format.h"
#include "util/number.h"

typedef struct Search {
    const Qcow2Check *check;
    const Qcow2HeaderFields *header;
    const Qcow2ClusterRange *ranges;
    size_t n;
} Search;

/* ---- those that have been found ---- */

static int compare_users(const void *a, const void *b)
{
    const Qcow2User *x = a, *y = b;

    if (x->offset != y->offset) {
        return x->offset > y->offset ? 1 : -1;
    }
    if (x->entry_offset != y->entry_offset) {
        return x->entry_offset > y->entry_offset ? 1 : -1;
    }
    return (x->structure > y->structure) - (x->structure < y->structure);
}

static void sort_and_cap(GArray *users)
{
    g_array_sort(users, compare_users);
    if (users->len > LIMIT_USERS) {
        g_array_set_size(users, LIMIT_USERS);
    }
}

static void add_user(GArray *users, const Qcow2User *user)
{
    g_array_append_val(users, *user);
    if (users->len >= 2 * LIMIT_USERS) {
        sort_and_cap(users);
    }
}

/* ---- ranges ---- */

/* Returns true if the region is counted, and lies in one of the ranges. */
static bool region_wanted(const Search *s, uint64_t offset, uint64_t size)
{
    uint64_t first, n;
    size_t i;

    if (!qcow2_region_clusters(&s->check->counting, offset, size, &first, &n)) {
        return false;
    }
    i = qcow2_cluster_ranges_find(s->ranges, s->n, first);
    return i < s->n && s->ranges[i].first < first + n;
}

/* ---- metadata, L2 tables apart ---- */

static Qcow2User metadata_user(ImageCheckStructure structure, uint64_t offset, uint64_t size, uint64_t entry_offset)
{
    return (Qcow2User){
        .structure = structure,
        .offset = offset,
        .size = size,
        .entry_offset = entry_offset,
        .snapshot = QCOW2_TREE_ACTIVE,
        .weight = 1,
    };
}

static bool visit_trees(const Qcow2Check *c, Qcow2UserVisitor visit, void *opaque)
{
    bool ok = true;

    for (guint i = 0; ok && i < c->regions.trees->len; i++) {
        const Qcow2Tree *tree = &g_array_index(c->regions.trees, Qcow2Tree, i);
        Qcow2User user = metadata_user(IMAGE_CHECK_STRUCTURE_L1, tree->offset, tree->entries * 8,
                                       offsetof(Qcow2DiskHeader, l1_table_offset));

        user.snapshot = tree->snapshot;
        if (tree->snapshot != QCOW2_TREE_ACTIVE) {
            user.entry_offset = g_array_index(c->snapshots.items, Qcow2Snapshot, tree->snapshot).entry_offset +
                                offsetof(Qcow2DiskSnapshot, l1_table_offset);
        }
        ok = visit(opaque, &user);
    }
    return ok;
}

static bool visit_header_tables(const Qcow2Check *c, Qcow2UserVisitor visit, void *opaque)
{
    const Qcow2HeaderFields *h = &c->image->header;
    const Qcow2Extensions *e = &c->image->extensions;
    Qcow2User users[] = {
        metadata_user(IMAGE_CHECK_STRUCTURE_HEADER, 0, h->cluster_size, 0),
        metadata_user(IMAGE_CHECK_STRUCTURE_REFCOUNT_TABLE, h->refcount_table_offset,
                      (uint64_t)h->refcount_table_clusters << h->cluster_bits,
                      offsetof(Qcow2DiskHeader, refcount_table_offset)),
        metadata_user(IMAGE_CHECK_STRUCTURE_SNAPSHOT_TABLE, h->snapshots_offset, c->snapshots.table_length,
                      offsetof(Qcow2DiskHeader, snapshots_offset)),
        metadata_user(IMAGE_CHECK_STRUCTURE_CRYPT_HEADER, e->crypt_header_offset, e->crypt_header_length,
                      e->crypt_header_entry),
        metadata_user(IMAGE_CHECK_STRUCTURE_BITMAP_DIRECTORY, e->bitmap_directory_offset, e->bitmap_directory_size,
                      e->bitmap_directory_entry),
    };
    bool ok = true;

    for (size_t i = 0; ok && i < G_N_ELEMENTS(users); i++) {
        /* what an image does not have is empty */
        ok = !users[i].size || visit(opaque, &users[i]);
    }
    return ok;
}

static bool visit_bitmap_tables(const Qcow2Check *c, Qcow2UserVisitor visit, void *opaque)
{
    bool ok = true;

    for (guint i = 0; ok && c->bitmaps.items && i < c->bitmaps.items->len; i++) {
        const Qcow2Bitmap *b = &g_array_index(c->bitmaps.items, Qcow2Bitmap, i);
        Qcow2User user = metadata_user(IMAGE_CHECK_STRUCTURE_BITMAP_TABLE, b->table_offset, UINT64_C(8) * b->table_size,
                                       b->entry_offset + offsetof(Qcow2DiskBitmapEntry, table_offset));

        ok = !b->table_valid || visit(opaque, &user);
    }
    return ok;
}

static bool visit_bitmap_data(const Qcow2Check *c, Qcow2UserVisitor visit, void *opaque)
{
    const Qcow2HeaderFields *h = &c->image->header;
    size_t n_spans;
    const Qcow2TableSpan *spans = qcow2_tables_spans(c->regions.bitmap_tables, &n_spans);
    bool ok = true;

    for (size_t k = 0; k < n_spans; k++) {
        for (uint64_t i = 0; ok && spans[k].slots && i < spans[k].n; i++) {
            uint64_t offset = spans[k].slots[i] & QCOW2_OFFSET_MASK;
            Qcow2User user =
                metadata_user(IMAGE_CHECK_STRUCTURE_BITMAP_DATA, offset, h->cluster_size, spans[k].offset + i * 8);

            user.weight = spans[k].weight;
            ok = !offset || qcow2_bitmap_table_entry_fault(spans[k].slots[i], h) || visit(opaque, &user);
        }
    }
    return ok;
}

static bool visit_refcount_blocks(const Qcow2Check *c, Qcow2UserVisitor visit, void *opaque)
{
    const Qcow2HeaderFields *h = &c->image->header;
    const Qcow2RefcountEntries *table = &c->image->refcount_table;
    bool ok = true;

    for (size_t i = 0; ok && i < table->n; i++) {
        uint64_t offset = table->entries[i] & QCOW2_REFTABLE_OFFSET_MASK;
        Qcow2User user = metadata_user(IMAGE_CHECK_STRUCTURE_REFCOUNT_BLOCK, offset, h->cluster_size,
                                       h->refcount_table_offset + i * 8);
        bool counted = offset && offset % h->cluster_size == 0 && !(table->entries[i] & QCOW2_REFTABLE_RESERVED);

        ok = !counted || visit(opaque, &user);
    }
    return ok;
}

bool qcow2_visit_metadata(const Qcow2Check *c, Qcow2UserVisitor visit, void *opaque)
{
    return visit_header_tables(c, visit, opaque) && visit_trees(c, visit, opaque) &&
           visit_bitmap_tables(c, visit, opaque) && visit_bitmap_data(c, visit, opaque) &&
           visit_refcount_blocks(c, visit, opaque);
}

typedef struct MetadataSearch {
    const Search *search;
    GArray *users;
} MetadataSearch;

static bool find_metadata(void *opaque, const Qcow2User *user)
{
    MetadataSearch *m = opaque;

    if (region_wanted(m->search, user->offset, user->size)) {
        add_user(m->users, user);
    }
    return true;
}

/* ---- L2 tables ---- */

void qcow2_set_l2_guest(const Qcow2Check *c, uint64_t slot, Qcow2User *user)
{
    const Qcow2HeaderFields *h = &c->image->header;
    uint64_t l1_index;
    const Qcow2Tree *tree = qcow2_regions_find_tree(&c->regions, slot, &l1_index);

    user->snapshot = QCOW2_TREE_ACTIVE;
    if (tree) {
        user->has_guest = true;
        user->guest_offset = l1_index << (h->l2_bits + h->cluster_bits);
        user->guest_size = UINT64_C(1) << (h->l2_bits + h->cluster_bits);
        user->snapshot = tree->snapshot;
    }
}

static void find_l2_tables(const Search *s, GArray *users)
{
    size_t n_spans;
    const Qcow2TableSpan *spans = qcow2_tables_spans(s->check->regions.l1_tables, &n_spans);

    for (size_t k = 0; k < n_spans; k++) {
        for (uint64_t i = 0; spans[k].slots && i < spans[k].n; i++) {
            Qcow2User user = metadata_user(IMAGE_CHECK_STRUCTURE_L2, spans[k].slots[i] & QCOW2_OFFSET_MASK,
                                           s->header->cluster_size, spans[k].offset + i * 8);

            if (spans[k].slots[i] && region_wanted(s, user.offset, user.size)) {
                qcow2_set_l2_guest(s->check, user.entry_offset, &user);
                user.weight = spans[k].weight;
                add_user(users, &user);
            }
        }
    }
}

/* ---- what L2 tables refer to ---- */

/* One L2 table, and what is found in it. */
typedef struct TableSearch {
    const Search *search;
    const Qcow2TableRef *table;
    Qcow2User in_table; /* what its users have in common, once there is one; else its weight is 0 */
    GArray *users;
} TableSearch;

/* The user that entries [index, index + n) of the table are, but for the host range. */
static Qcow2User data_user(TableSearch *w, uint32_t index, uint32_t n)
{
    const Qcow2HeaderFields *h = w->search->header;
    Qcow2User user;

    if (!w->in_table.weight) {
        qcow2_set_l2_guest(w->search->check, w->table->slot, &w->in_table);
        w->in_table.weight = w->table->weight;
    }
    user = w->in_table;
    user.entry_offset = w->table->offset + (uint64_t)index * qcow2_l2_entry_size(h);
    user.guest_offset += (uint64_t)index << h->cluster_bits;
    user.guest_size = (uint64_t)n << h->cluster_bits;
    return user;
}

/* The parts of @run that are in the ranges. */
static void find_in_run(TableSearch *w, const Qcow2Run *run)
{
    const Search *s = w->search;
    uint64_t first = run->offset >> s->header->cluster_bits;
    uint64_t end = first + qcow2_clusters_inside(&s->check->counting, run->offset, run->n);

    for (size_t i = qcow2_cluster_ranges_find(s->ranges, s->n, first); i < s->n && s->ranges[i].first < end; i++) {
        uint64_t from = MAX(first, s->ranges[i].first);
        uint64_t to = MIN(end, s->ranges[i].first + s->ranges[i].n);
        Qcow2User user = data_user(w, run->index + (uint32_t)(from - first), (uint32_t)(to - from));

        user.structure = IMAGE_CHECK_STRUCTURE_DATA;
        user.offset = from << s->header->cluster_bits;
        user.size = (to - from) << s->header->cluster_bits;
        add_user(w->users, &user);
    }
}

static void find_extent(TableSearch *w, const Qcow2Extent *e)
{
    if (region_wanted(w->search, e->offset, e->length)) {
        Qcow2User user = data_user(w, e->index, 1);

        user.structure = e->compressed ? IMAGE_CHECK_STRUCTURE_COMPRESSED_DATA : IMAGE_CHECK_STRUCTURE_DATA;
        user.offset = e->offset;
        user.size = e->length;
        add_user(w->users, &user);
    }
}

static bool find_in_table(void *opaque, GArray *items, const Qcow2TableRef *table, const uint8_t *bytes,
                          const Qcow2L2Result *contents)
{
    TableSearch search = {.search = opaque, .table = table, .users = items};

    for (uint32_t i = 0; i < contents->n_runs; i++) {
        find_in_run(&search, &contents->runs[i]);
    }
    for (guint i = 0; i < contents->extents->len; i++) {
        find_extent(&search, &g_array_index(contents->extents, Qcow2Extent, i));
    }
    return true;
}

bool qcow2_find_users(Qcow2Check *check, const Qcow2ClusterRange *ranges, size_t n, GArray *users, GError **errp)
{
    Search s = {.check = check, .header = &check->image->header, .ranges = ranges, .n = n};
    MetadataSearch metadata = {.search = &s, .users = users};

    qcow2_visit_metadata(check, find_metadata, &metadata);
    find_l2_tables(&s, users);
    /* the data of an image with an external data file is not in this file */
    if (!qcow2_has_data_file(s.header) && !qcow2_walk_collect(check->walk, find_in_table, &s, users, errp)) {
        return false;
    }
    if (g_atomic_int_get(&check->image->source->lost)) {
        g_set_error_literal(errp, BLOCK_ERROR, EIO, "the image cannot be read any more");
        return false;
    }
    sort_and_cap(users);
    return true;
}
