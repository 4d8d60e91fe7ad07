/*
 * Looking for something in all L2 tables of an image at once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/tables.h"

#include "block/io/prefetch.h"
#include "util/number.h"

TableEntry table_entry(const Qcow2HeaderFields *h, const Qcow2TableRef *table, const uint8_t *bytes,
                       const Qcow2Extent *extent)
{
    size_t size = qcow2_l2_entry_size(h);
    const uint8_t *at = bytes + extent->index * size;

    return (TableEntry){
        .table = table->offset,
        .weight = table->weight,
        .active = table->active,
        .entry = load_be64(at),
        .bitmap = size > 8 ? load_be64(at + 8) : 0,
        .offset = extent->offset,
        .length = extent->length,
        .index = extent->index,
        .compressed = extent->compressed,
    };
}

/* g_array_sort() is stable. */
static int compare_tables(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

GArray *tables_search(const Qcow2Check *check, TableVisitor *visit, const void *opaque, guint item_size, GError **errp)
{
    TableSearch searches[BLOCK_MAX_WORKERS];
    void *states[BLOCK_MAX_WORKERS];
    Qcow2TableVisitor visitor = {.visit = visit, .states = states};
    GArray *all = g_array_new(FALSE, FALSE, item_size);
    bool ok;

    for (unsigned i = 0; i < BLOCK_MAX_WORKERS; i++) {
        searches[i] = (TableSearch){.opaque = opaque, .found = g_array_new(FALSE, FALSE, item_size)};
        states[i] = &searches[i];
    }
    ok = qcow2_walk_visit(check->walk, &visitor, errp);
    for (unsigned i = 0; i < BLOCK_MAX_WORKERS; i++) {
        g_array_append_vals(all, searches[i].found->data, searches[i].found->len);
        g_array_free(searches[i].found, TRUE);
    }
    g_array_sort(all, compare_tables);
    if (!ok) {
        g_clear_pointer(&all, g_array_unref);
    }
    return all;
}
