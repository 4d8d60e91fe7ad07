/*
 * Guest data that lies on metadata: which L2 entries have it, and what a guest reads where.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_REPAIR_OVERLAP_H
#define BLOCK_QCOW2_REPAIR_OVERLAP_H

#include "block/qcow2/repair/layout.h"

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

/* Compares what begins with a TableEntry, by table and index. */
int table_entry_compare(const void *a, const void *b);

typedef struct OverlappedEntry {
    TableEntry entry;
    bool read;    /* a guest reads its data */
    bool counted; /* and it is among the references that are counted */
    bool movable; /* and can read it elsewhere */
} OverlappedEntry;

/* The clusters of the file that @e refers to; compressed data may be said to go on behind its end. */
static inline uint64_t overlap_first_cluster(const MetadataLayout *layout, const OverlappedEntry *e)
{
    return e->entry.offset >> layout->header->cluster_bits;
}

static inline uint64_t overlap_last_cluster(const MetadataLayout *layout, const OverlappedEntry *e)
{
    return MIN((e->entry.offset + e->entry.length - 1) >> layout->header->cluster_bits, layout->file_clusters - 1);
}

/* True where data of @e does: compressed data that is not counted need not. */
bool overlap_lies_on_metadata(const MetadataLayout *layout, const OverlappedEntry *e);

/* Finds them. When the faults of tables are reported. */
bool overlap_find(MetadataLayout *layout, GError **errp);

#endif
