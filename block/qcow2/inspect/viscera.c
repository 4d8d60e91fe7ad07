/*
 * The viscera: where every piece of metadata lies.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/viscera.h"

#include <errno.h>

#include "block/limits.h"
#include "block/qcow2/format/format.h"
#include "util/number.h"

/*
 * What is being filled. Tables do not lie over one another in images that programs write, so each entry held is
 * looked at once; a hostile image may have 65,536 tables that share all their bytes.
 */
typedef struct Filler {
    const Qcow2Image *image;
    uint64_t cluster_size;
    uint64_t left; /* entries that may still be looked at */
} Filler;

static bool take_entries(Filler *f, uint64_t n, GError **errp)
{
    if (f->left < n) {
        g_set_error_literal(errp, BLOCK_ERROR, E2BIG,
                            "The metadata is not shown: its tables claim far more entries than there are in the file");
        return false;
    }
    f->left -= n;
    return true;
}

static uint64_t entries_held(const Qcow2Tables *tables)
{
    size_t n_spans;
    const Qcow2TableSpan *spans = qcow2_tables_spans(tables, &n_spans);
    uint64_t held = 0;

    for (size_t i = 0; i < n_spans; i++) {
        held += spans[i].slots ? spans[i].n : 0;
    }
    return held;
}

static Qcow2Allocation allocation(uint64_t offset, uint64_t size)
{
    return (Qcow2Allocation){.offset = offset, .size = size};
}

/* Appends the cluster at @offset. */
static bool append_cluster(Filler *f, Qcow2AllocationList *list, uint64_t offset, GError **errp)
{
    Qcow2Allocation *item = qapi_append_Qcow2Allocation(list);

    if (!item) {
        return qapi_set_out_of_memory(errp);
    }
    *item = allocation(offset, f->cluster_size);
    return true;
}

static bool fill_refcount_table(Filler *f, Qcow2RefcountTable *t, GError **errp)
{
    const Qcow2HeaderFields *h = &f->image->header;
    const Qcow2RefcountEntries *table = &f->image->refcount_table;

    t->location = allocation(h->refcount_table_offset, (uint64_t)h->refcount_table_clusters << h->cluster_bits);
    for (size_t i = 0; i < table->n; i++) {
        uint64_t offset = table->entries[i] & QCOW2_REFTABLE_OFFSET_MASK;

        if (offset && !append_cluster(f, &t->refcount_blocks, offset, errp)) {
            return false;
        }
    }
    t->has_refcount_blocks = t->refcount_blocks.len > 0;
    return true;
}

static bool fill_l1_table(Filler *f, Qcow2L1Table *t, const char *name, uint64_t offset, uint64_t entries,
                          const Qcow2Tables *tables, GError **errp)
{
    uint64_t first = 0, n;
    const uint64_t *slots;

    t->name = g_strdup(name);
    t->location = allocation(offset, entries * 8);
    while ((n = qcow2_tables_part(tables, offset, entries, &first, &slots))) {
        if (!take_entries(f, n, errp)) {
            return false;
        }
        for (uint64_t i = 0; i < n; i++) {
            uint64_t table = slots[i] & QCOW2_OFFSET_MASK;

            if (table && !append_cluster(f, &t->l2_list, table, errp)) {
                return false;
            }
        }
        first += n;
    }
    return true;
}

static bool fill_bitmap_table_entry(Filler *f, Qcow2BitmapTblEntryList *list, uint64_t value, GError **errp)
{
    Qcow2BitmapTblEntry *item = qapi_append_Qcow2BitmapTblEntry(list);
    uint64_t offset = value & QCOW2_OFFSET_MASK;

    if (!item) {
        return qapi_set_out_of_memory(errp);
    }
    if (offset) {
        item->type = QCOW2_BITMAP_TBL_ENTRY_TYPE_SERIALIZED;
        item->cluster = g_new(Qcow2Allocation, 1);
        *item->cluster = allocation(offset, f->cluster_size);
    } else {
        item->type = value & QCOW2_BITMAP_TABLE_ALL_ONES ? QCOW2_BITMAP_TBL_ENTRY_TYPE_ALL_ONES
                                                         : QCOW2_BITMAP_TBL_ENTRY_TYPE_ALL_ZEROS;
    }
    return true;
}

/* Fills the entries of @b's table as far as the file reaches; those that are not held are zeros. */
static bool fill_bitmap_table(Filler *f, Qcow2BitmapTblEntryList *list, const Qcow2Bitmap *b, const Qcow2Tables *tables,
                              GError **errp)
{
    uint64_t length = f->image->source->length;
    uint64_t inside = length > b->table_offset ? DIV_ROUND_UP(length - b->table_offset, 8) : 0;
    uint64_t end = MIN(b->table_size, inside);

    if (!take_entries(f, end, errp)) {
        return false;
    }
    for (uint64_t done = 0; done < end;) {
        uint64_t first = done;
        const uint64_t *slots = NULL;
        uint64_t n = qcow2_tables_part(tables, b->table_offset, end, &first, &slots);
        uint64_t next = n ? first + n : end;

        for (; done < next; done++) {
            uint64_t value = n && done >= first ? slots[done - first] : 0;

            if (!fill_bitmap_table_entry(f, list, value, errp)) {
                return false;
            }
        }
    }
    return true;
}

static bool fill_bitmap(Filler *f, Qcow2BitmapDirectoryEntry *entry, const Qcow2Bitmap *b, const Qcow2Tables *tables,
                        GError **errp)
{
    Qcow2BitmapTbl *table = &entry->bitmap_table;

    entry->bitmap_name = g_strdup(b->name);
    table->location = allocation(b->table_offset, UINT64_C(8) * b->table_size);
    return !b->table_valid || fill_bitmap_table(f, &table->table_entries, b, tables, errp);
}

static bool fill_bitmaps(Filler *f, Qcow2Metadata *m, const Qcow2BitmapDirectory *bitmaps, const Qcow2Tables *tables,
                         GError **errp)
{
    const Qcow2Extensions *e = &f->image->extensions;
    Qcow2BitmapDir *directory;

    m->bitmaps = g_new0(Qcow2Bitmaps, 1);
    m->bitmaps->nb_bitmaps = e->nb_bitmaps;
    directory = &m->bitmaps->bitmap_dir;
    directory->location = allocation(e->bitmap_directory_offset, e->bitmap_directory_size);
    for (size_t i = 0; i < bitmaps->items->len; i++) {
        Qcow2BitmapDirectoryEntry *entry = qapi_append_Qcow2BitmapDirectoryEntry(&directory->dir_entries);

        if (!entry) {
            return qapi_set_out_of_memory(errp);
        }
        if (!fill_bitmap(f, entry, &g_array_index(bitmaps->items, Qcow2Bitmap, i), tables, errp)) {
            return false;
        }
    }
    return true;
}

static bool fill_snapshots(Filler *f, Qcow2Metadata *m, const Qcow2Snapshots *snapshots, const Qcow2Tables *tables,
                           GError **errp)
{
    const Qcow2HeaderFields *h = &f->image->header;

    m->snapshot_table = g_new0(Qcow2SnapshotsTable, 1);
    m->snapshot_table->location = allocation(h->snapshots_offset, snapshots->table_length);
    for (size_t i = 0; i < snapshots->items->len; i++) {
        const Qcow2Snapshot *s = &g_array_index(snapshots->items, Qcow2Snapshot, i);
        Qcow2L1Table *l1 = qapi_append_Qcow2L1Table(&m->snapshot_table->l1_list);

        if (!l1) {
            return qapi_set_out_of_memory(errp);
        }
        if (!qcow2_snapshot_l1_valid(s, h)) {
            l1->name = g_strdup(s->name);
            l1->location = allocation(s->l1_table_offset, UINT64_C(8) * s->l1_size);
        } else if (!fill_l1_table(f, l1, s->name, s->l1_table_offset, s->l1_size, tables, errp)) {
            return false;
        }
    }
    return true;
}

static bool fill_all(Filler *f, Qcow2Metadata *m, const Qcow2Snapshots *snapshots, const Qcow2BitmapDirectory *bitmaps,
                     const Qcow2Regions *regions, GError **errp)
{
    const Qcow2HeaderFields *h = &f->image->header;
    const Qcow2Extensions *e = &f->image->extensions;

    m->qcow2_header.version = h->version;
    m->qcow2_header.location = allocation(0, h->cluster_size);
    if (e->has_crypt_header) {
        m->crypt_header = g_new0(Qcow2EncryptionHeader, 1);
        m->crypt_header->location = allocation(e->crypt_header_offset, e->crypt_header_length);
    }
    return fill_refcount_table(f, &m->refcount_table, errp) &&
           fill_l1_table(f, &m->active_l1, "L1 active table", h->l1_table_offset, h->l1_size, regions->l1_tables,
                         errp) &&
           (!e->has_bitmaps || fill_bitmaps(f, m, bitmaps, regions->bitmap_tables, errp)) &&
           (!h->nb_snapshots || fill_snapshots(f, m, snapshots, regions->l1_tables, errp));
}

Qcow2Metadata *qcow2_viscera(const Qcow2Image *image, const Qcow2Snapshots *snapshots,
                             const Qcow2BitmapDirectory *bitmaps, const Qcow2Regions *regions, GError **errp)
{
    g_autoptr(Qcow2Metadata) m = g_new0(Qcow2Metadata, 1);
    uint64_t held = entries_held(regions->l1_tables) + entries_held(regions->bitmap_tables);
    Filler filler = {
        .image = image,
        .cluster_size = image->header.cluster_size,
        .left = LIMIT_FREE_ENTRIES + LIMIT_LOOKS_PER_ENTRY * held,
    };

    return fill_all(&filler, m, snapshots, bitmaps, regions, errp) ? g_steal_pointer(&m) : NULL;
}
