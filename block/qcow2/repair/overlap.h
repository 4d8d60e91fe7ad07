/*
 * Guest data that lies on metadata: which L2 entries have it, and what a guest reads where.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_REPAIR_OVERLAP_H
#define BLOCK_QCOW2_REPAIR_OVERLAP_H

#include "block/qcow2/repair/layout.h"

typedef struct OverlappedEntry {
    uint64_t at;     /* where in the file the L2 entry is */
    uint64_t entry;  /* its first word */
    uint64_t weight; /* references to its table */
    uint64_t active; /* those of them from the active L1 table */
    uint64_t offset; /* host offset of what it refers to */
    uint32_t length; /* bytes */
    bool compressed;
    bool read;    /* a guest reads its data */
    bool counted; /* and it is among the references that are counted */
    bool movable; /* and can read it elsewhere */
} OverlappedEntry;

/* The clusters of the file that @e refers to; compressed data may be said to go on behind its end. */
static inline uint64_t overlap_first_cluster(const MetadataLayout *layout, const OverlappedEntry *e)
{
    return e->offset >> layout->header->cluster_bits;
}

static inline uint64_t overlap_last_cluster(const MetadataLayout *layout, const OverlappedEntry *e)
{
    return MIN((e->offset + e->length - 1) >> layout->header->cluster_bits, layout->file_clusters - 1);
}

/* Returns true if data of @e does: compressed data that is not counted need not. */
bool overlap_lies_on_metadata(const MetadataLayout *layout, const OverlappedEntry *e);

/* Finds them. When the faults of tables are reported. */
bool overlap_find(MetadataLayout *layout, GError **errp);

#endif
