/*
 * Looking for something in all L2 tables of an image at once, with as many threads as a check has.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_REPAIR_TABLES_H
#define BLOCK_QCOW2_REPAIR_TABLES_H

#include "block/qcow2/check/check.h"

/* An L2 entry. */
typedef struct TableEntry {
    uint64_t table; /* offset of the L2 table */
    uint64_t weight;
    uint64_t active;
    uint64_t entry;  /* its first word */
    uint64_t bitmap; /* its second, with extended L2 entries */
    uint64_t offset; /* host offset of what it refers to */
    uint32_t length; /* bytes */
    uint32_t index;
    bool compressed;
} TableEntry;

/* The entry of the table with @bytes that refers to @extent. */
TableEntry table_entry(const Qcow2HeaderFields *header, const Qcow2TableRef *table, const uint8_t *bytes,
                       const Qcow2Extent *extent);

/* Where it is in the file, bytes. */
static inline uint64_t table_entry_offset(const Qcow2HeaderFields *header, const TableEntry *e)
{
    return e->table + (uint64_t)e->index * qcow2_l2_entry_size(header);
}

/* What a thread has, and what it has found. */
typedef struct TableSearch {
    const void *opaque;
    GArray *found;
} TableSearch;

typedef bool TableVisitor(void *search, const Qcow2TableRef *table, const uint8_t *bytes,
                          const Qcow2L2Result *contents);

/*
 * What @visit, whose state is a TableSearch with @opaque, finds in the tables of @check: items of @item_size bytes,
 * sorted by their first member, the offset of the table as uint64_t, and those of a table as they were found. NULL and
 * @errp set when memory is short.
 */
GArray *tables_search(const Qcow2Check *check, TableVisitor *visit, const void *opaque, guint item_size, GError **errp);

#endif
