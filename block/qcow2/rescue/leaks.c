/*
 * Clusters with a stored count to which nothing refers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/rescue/leaks.h"

#include "block/qcow2/format/format.h"
#include "block/qcow2/load/bitmap-directory.h"
#include "block/qcow2/load/count-pairs.h"
#include "block/qcow2/load/l2-result.h"
#include "block/qcow2/rescue/visit.h"
#include "util/number.h"

#define SNAPSHOT_ENTRY 56u /* bytes that one takes at least, with its extra data */
#define SOME           4u  /* leaks: one may be left of a crash, so many were mapped by something */

struct Qcow2Leaks {
    const Qcow2Found *found;
    const Qcow2Trees *trees;
    RefMap *references;
    GHashTable *slots; /* offset of a table of the disk: how many slots have it */
    Qcow2L2Result *contents;
    bool no_memory;
};

/* Counts @n references to each cluster of [@offset, @offset + @size), as far as the file reaches. */
static void add(Qcow2Leaks *l, uint64_t offset, uint64_t size, uint64_t n)
{
    unsigned bits = qcow2_found_header(l->found)->cluster_bits;
    uint64_t first = offset >> bits, end;

    if (!size || !add_u64(offset, size - 1, &end)) {
        return;
    }
    end = MIN((end >> bits) + 1, refmap_clusters(l->references));
    if (first < end && !refmap_add(l->references, first, end - first, n)) {
        l->no_memory = true;
    }
}

static void add_refcounts(Qcow2Leaks *l)
{
    const Qcow2HeaderFields *h = qcow2_found_header(l->found);
    uint64_t size = MIN(h->refcount_table_clusters * h->cluster_size, QCOW2_MAX_REFTABLE_BYTES);
    uint8_t part[4096];

    add(l, h->refcount_table_offset, size, 1);
    for (uint64_t at = 0; at < size; at += sizeof(part)) {
        size_t n = (size_t)MIN(sizeof(part), size - at);

        if (block_source_read(l->found->in->source, part, n, h->refcount_table_offset + at)) {
            continue;
        }
        for (size_t i = 0; i < n; i += 8) {
            uint64_t block = load_be64(part + i) & QCOW2_REFTABLE_OFFSET_MASK;

            add(l, block, block ? h->cluster_size : 0, 1);
        }
    }
}

static void add_snapshots(Qcow2Leaks *l)
{
    const GArray *snapshots = l->found->snapshots;

    add(l, l->found->snapshots_offset, l->found->snapshots_offset ? SNAPSHOT_ENTRY * (uint64_t)snapshots->len : 0, 1);
    for (guint i = 0; i < snapshots->len; i++) {
        const Qcow2FoundSnapshot *s = &g_array_index(snapshots, Qcow2FoundSnapshot, i);

        add(l, s->l1_offset, UINT64_C(8) * s->l1_size, 1);
    }
    for (guint i = 0; i < l->trees->snapshot_tables->len; i++) {
        add(l, g_array_index(l->trees->snapshot_tables, uint64_t, i), qcow2_found_header(l->found)->cluster_size, 1);
    }
}

/* The table of a bitmap, and its data. At most @quota entries are read; returns what is left of it. */
static uint64_t add_bitmap(Qcow2Leaks *l, const Qcow2Bitmap *b, uint64_t quota)
{
    const Qcow2HeaderFields *h = qcow2_found_header(l->found);
    uint64_t entries = MIN(b->table_size, quota);
    uint8_t part[4096];

    add(l, b->table_offset, UINT64_C(8) * b->table_size, 1);
    for (uint64_t i = 0; i < entries; i++) {
        size_t at = (size_t)(i * 8 % sizeof(part));
        uint64_t entry;

        if (!at && block_source_read(l->found->in->source, part, (size_t)MIN(sizeof(part), (entries - i) * 8),
                                     b->table_offset + i * 8)) {
            break;
        }
        entry = load_be64(part + at);
        if (!qcow2_bitmap_table_entry_fault(entry, h) && (entry & QCOW2_OFFSET_MASK)) {
            add(l, entry & QCOW2_OFFSET_MASK, h->cluster_size, 1);
        }
    }
    return quota - entries;
}

/* The new image does not have them, but they are no data of the guest. Stale ones may be, by now. */
static void add_bitmaps(Qcow2Leaks *l)
{
    const Qcow2Extensions *e = &l->found->remains.bitmaps;
    uint64_t quota = l->found->in->source->length / 8; /* entries: tables that overlap do not add up */
    Qcow2BitmapDirectory directory = {0};

    if (!(l->found->remains.header.autoclear_features & QCOW2_AUTOCLEAR_BITMAPS) || !e->has_bitmaps ||
        e->nb_bitmaps > QCOW2_MAX_BITMAPS || e->bitmap_directory_size > QCOW2_MAX_BITMAP_DIRECTORY_BYTES ||
        e->bitmap_directory_offset >= l->found->in->source->length) {
        return;
    }
    add(l, e->bitmap_directory_offset, e->bitmap_directory_size, 1);
    qcow2_read_bitmap_directory(l->found->in->source, qcow2_found_header(l->found), e, &directory, NULL);
    for (guint i = 0; i < directory.items->len; i++) {
        const Qcow2Bitmap *b = &g_array_index(directory.items, Qcow2Bitmap, i);

        if (b->table_valid) {
            quota = add_bitmap(l, b, quota);
        }
    }
    qcow2_bitmap_directory_clear(&directory);
}

static void add_slots(Qcow2Leaks *l)
{
    for (guint i = 0; i < l->trees->slots->len; i++) {
        uint64_t *table = &g_array_index(l->trees->slots, Qcow2Slot, i).table;
        guint n = GPOINTER_TO_UINT(g_hash_table_lookup(l->slots, table));

        if (*table) {
            add(l, *table, qcow2_found_header(l->found)->cluster_size, 1);
            g_hash_table_insert(l->slots, table, GUINT_TO_POINTER(n + 1));
        }
    }
}

Qcow2Leaks *qcow2_leaks_new(const Qcow2Found *found, const Qcow2Trees *trees)
{
    const Qcow2HeaderFields *h = qcow2_found_header(found);
    g_autoptr(Qcow2Leaks) l = g_new0(Qcow2Leaks, 1);

    l->found = found;
    l->trees = trees;
    l->references = refmap_new(DIV_ROUND_UP(found->in->source->length, h->cluster_size));
    l->slots = g_hash_table_new(hash_u64, g_int64_equal);
    l->contents = qcow2_l2_result_new(h);
    if (!l->contents) {
        return NULL;
    }
    add(l, 0, h->cluster_size, 1);
    add(l, trees->l1_offset, trees->l1_offset ? UINT64_C(8) * trees->l1_size : 0, 1);
    add(l, found->remains.crypt_offset, found->remains.has_crypt_header ? found->remains.crypt_length : 0, 1);
    add_refcounts(l);
    add_bitmaps(l);
    add_snapshots(l);
    add_slots(l);
    return g_steal_pointer(&l);
}

void qcow2_leaks_free(Qcow2Leaks *l)
{
    if (l) {
        g_clear_pointer(&l->references, refmap_free);
        g_clear_pointer(&l->slots, g_hash_table_unref);
        g_clear_pointer(&l->contents, qcow2_l2_result_free);
        g_free(l);
    }
}

/* References of the table that is looked at. */
typedef struct Weighed {
    Qcow2Leaks *leaks;
    uint64_t n;
} Weighed;

static void add_weighed(void *opaque, uint64_t offset, uint64_t size)
{
    const Weighed *w = opaque;

    add(w->leaks, offset, size, w->n);
}

void qcow2_leaks_add_table(Qcow2Leaks *l, uint64_t offset, const uint8_t *bytes)
{
    const Qcow2HeaderFields *h = qcow2_found_header(l->found);
    Weighed w = {l, GPOINTER_TO_UINT(g_hash_table_lookup(l->slots, &offset))};

    w.n += qcow2_trees_snapshot_refs(l->trees, offset);
    if (w.n && !qcow2_has_data_file(h)) {
        qcow2_l2_decode(h, bytes, l->contents);
        qcow2_l2_visit_ranges(h, l->contents, add_weighed, &w);
    }
}

bool qcow2_leaks_class(const Qcow2Leaks *l, ImageRescueClass *class)
{
    uint64_t leaks = 0;
    size_t n;
    bool unknown = !l->found->counts;
    Qcow2CountPairs pairs = qcow2_count_pairs(l->found->counts, l->references, UINT64_MAX);
    Qcow2CountStretch s;

    for (uint64_t at = 0; !unknown && leaks < SOME && qcow2_count_pairs_next(&pairs, at, &s); at = s.first + s.n) {
        unknown = !s.stored;
        for (size_t i = 0; !unknown && i < s.n; i += n) {
            uint64_t stored, references;

            n = qcow2_count_stretch_same(&s, i, &stored, &references);
            leaks += stored > references ? n : 0;
        }
    }
    *class = leaks >= SOME      ? IMAGE_RESCUE_CLASS_GUESSED
             : unknown || leaks ? IMAGE_RESCUE_CLASS_INFERRED
                                : IMAGE_RESCUE_CLASS_PROVED;
    return !l->no_memory;
}
