/*
 * The long lists of a report: see ui/report/lists.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/report/lists.h"

#include "ui/report/pack.h"

#define KIND_MASK    3u
#define TREE_FOLLOWS 4u
#define HEAD_BITS    3

void report_write_mappings(FILE *out, const Mappings *mappings)
{
    g_autofree ReportPack *pack = g_new(ReportPack, 1);
    uint64_t host = 0, guest = 0;
    unsigned tree = 0;

    report_pack_begin(pack, out, "mappings");
    for (size_t i = 0; i < mappings->n; i++) {
        const Mapping *m = &mappings->items[i];
        bool tree_follows = m->tree != tree;

        report_pack_number(pack,
                           (uint64_t)m->n << HEAD_BITS | (tree_follows ? TREE_FOLLOWS : 0) | (m->kind & KIND_MASK));
        report_pack_number(pack, m->host - host);
        report_pack_signed(pack, (int64_t)(m->guest - guest));
        if (tree_follows) {
            report_pack_number(pack, m->tree);
        }
        host = m->host;
        guest = m->guest + m->n;
        tree = m->tree;
    }
    report_pack_end(pack);
}

typedef struct Places {
    ReportPack pack;
    uint64_t written;
    uint64_t most;
    ReportPlacesList *lists;
} Places;

/* Begins a list of @total items, and says how many of them there is room for. */
static uint64_t begin_list(Places *p, ReportPlacesKind kind, size_t of, uint64_t total)
{
    ReportPlaces *list = qapi_append_ReportPlaces(p->lists);
    uint64_t shown = MIN(total, p->most - p->written);

    if (!list) {
        return 0; /* memory is short: the page has fewer lists */
    }
    *list = (ReportPlaces){.kind = kind,
                           .of = (int64_t)of,
                           .first = (int64_t)p->written,
                           .shown = (int64_t)shown,
                           .total = (int64_t)total};
    p->written += shown;
    return shown;
}

static void write_allocations(Places *p, ReportPlacesKind kind, size_t of, const Qcow2AllocationList *list)
{
    uint64_t shown = begin_list(p, kind, of, list->len);

    for (uint64_t i = 0; i < shown; i++) {
        report_pack_word(&p->pack, list->items[i].offset);
    }
}

static void write_bitmap(Places *p, size_t of, const Qcow2BitmapTblEntryList *list)
{
    uint64_t shown = begin_list(p, REPORT_PLACES_KIND_BITMAP_ENTRIES, of, list->len);

    for (uint64_t i = 0; i < shown; i++) {
        const Qcow2BitmapTblEntry *entry = &list->items[i];
        uint64_t ones = entry->type == QCOW2_BITMAP_TBL_ENTRY_TYPE_ALL_ONES;

        report_pack_word(&p->pack, entry->cluster ? entry->cluster->offset : ones);
    }
}

static void write_viscera(Places *p, const Qcow2Metadata *viscera)
{
    write_allocations(p, REPORT_PLACES_KIND_REFCOUNT_BLOCKS, 0, &viscera->refcount_table.refcount_blocks);
    write_allocations(p, REPORT_PLACES_KIND_L2_TABLES, 0, &viscera->active_l1.l2_list);
    for (size_t i = 0; viscera->snapshot_table && i < viscera->snapshot_table->l1_list.len; i++) {
        write_allocations(p, REPORT_PLACES_KIND_L2_TABLES, i + 1, &viscera->snapshot_table->l1_list.items[i].l2_list);
    }
    for (size_t i = 0; viscera->bitmaps && i < viscera->bitmaps->bitmap_dir.dir_entries.len; i++) {
        write_bitmap(p, i, &viscera->bitmaps->bitmap_dir.dir_entries.items[i].bitmap_table.table_entries);
    }
}

void report_write_places(FILE *out, const Qcow2Metadata *viscera, uint64_t most, ReportPlacesList *lists)
{
    g_autofree Places *places = g_new0(Places, 1);

    places->most = most;
    places->lists = lists;
    report_pack_begin(&places->pack, out, "places");
    if (viscera) {
        write_viscera(places, viscera);
    }
    report_pack_end(&places->pack);
}
