/*
 * L2 entries that a repair is to overwrite: looking for them in all tables at once, and where they lead.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_REPAIR_ENTRIES_H
#define BLOCK_QCOW2_REPAIR_ENTRIES_H

#include "block/qcow2/repair/repair.h"

/* The clusters of the file that @e refers to; compressed data may be said to go on behind its end. */
static inline uint64_t qcow2_repair_first_cluster(const Qcow2Repair *r, const Qcow2EntryEdit *e)
{
    return e->offset >> r->header->cluster_bits;
}

static inline uint64_t qcow2_repair_last_cluster(const Qcow2Repair *r, const Qcow2EntryEdit *e)
{
    return MIN((e->offset + e->length - 1) >> r->header->cluster_bits, r->file_clusters - 1);
}

/* What one thread has found. */
typedef struct Qcow2EntrySearch {
    const Qcow2Repair *r;
    GArray *found; /* Qcow2EntryEdit */
} Qcow2EntrySearch;

/*
 * What @visit, whose state is a Qcow2EntrySearch, finds in all tables, sorted by table and index. NULL and @errp set
 * when memory is short.
 */
GArray *qcow2_repair_search_entries(Qcow2Repair *r,
                                    bool (*visit)(void *state, const Qcow2TableRef *table, const uint8_t *bytes,
                                                  const Qcow2L2Result *contents),
                                    GError **errp);

/* The entry of the table with @bytes that refers to @extent, as it is. */
Qcow2EntryEdit qcow2_repair_entry(const Qcow2Repair *r, const Qcow2TableRef *table, const uint8_t *bytes,
                                  const Qcow2Extent *extent);

#endif
