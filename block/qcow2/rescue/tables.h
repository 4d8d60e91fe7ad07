/*
 * Tables that a scan has found: clusters with the strict form of an L1 or L2 table.
 *
 * Memory: 56 bytes for each. Reads on several threads; the result belongs to one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_RESCUE_TABLES_H
#define BLOCK_QCOW2_RESCUE_TABLES_H

#include "block/qcow2/format/header.h"
#include "block/qcow2/rescue/scan.h"

typedef struct Qcow2FoundTable {
    uint64_t offset;     /* in the file, cluster aligned */
    uint64_t first_host; /* offset to which its first sound entry leads, and its last */
    uint64_t last_host;
    uint32_t first_entry; /* index of these as L2 entries */
    uint32_t last_entry;
    uint32_t entries;  /* sound L2 entries that have an offset */
    bool is_l2;        /* it has the form of an L2 table with the entries of the header */
    bool is_l1;        /* it has the form of an L1 table, and what it refers to that of L2 tables */
    bool is_extended;  /* it has the form of an L2 table with extended entries, and not that of plain ones */
    bool may_be_plain; /* it has the form of an L2 table with plain entries */
    bool may_be_l1;    /* it has the form of an L1 table */
    bool copied;       /* an entry has the COPIED flag, or is compressed */
} Qcow2FoundTable;

/*
 * Reads all that @scan found, by clusters of the size of @header, whose L2 entries are plain or extended as
 * @header has them. Returns an array of Qcow2FoundTable, sorted by offset; NULL and @errp set when memory is short.
 */
GArray *qcow2_find_tables(BlockSource *source, const BlockReadOptions *options, const Qcow2HeaderFields *header,
                          const Qcow2Scan *scan, GError **errp);

/*
 * Returns true if more L2 tables have extended entries than plain ones. If there are as many, as when all are lost, the
 * features of @hint decide, a header of the image or of an earlier copy; NULL: there is none.
 */
bool qcow2_tables_are_extended(const GArray *tables, const Qcow2HeaderFields *hint);

/* The table at @offset, or NULL. */
const Qcow2FoundTable *qcow2_table_at(const GArray *tables, uint64_t offset);

#endif
