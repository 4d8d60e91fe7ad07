/*
 * Stored reference counts: the contents of the refcount blocks of an image.
 *
 * Every block is read once, when the counts are loaded, and kept as narrow counters (counters.h); entries of the
 * table that share a block share its counters. Memory is bounded by the blocks that the file really holds.
 *
 * Any number of threads may read them at once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_LOAD_REFCOUNT_BLOCKS_H
#define BLOCK_QCOW2_LOAD_REFCOUNT_BLOCKS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "block/clusters/counters.h"
#include "block/io/prefetch.h"
#include "block/qcow2/format/refcounts.h"

#define QCOW2_REFTABLE_PIECE 512 /* entries of the table that are read, or not, together: as many as a page has */

/* The refcount table as far as the file holds it: host byte order; entries behind @n are zeros. */
typedef struct Qcow2RefcountEntries {
    uint64_t *entries; /* 0 where they could not be read */
    size_t n;
    int error;    /* 0, or why some could not be read: a positive errno value */
    bool *unread; /* one for each piece; NULL where @error is 0 */
} Qcow2RefcountEntries;

/*
 * Reads the table. 0, also where pieces of it could not be read; or a negative errno value: -ENOMEM when memory is
 * short, -EIO where there can be no table.
 */
int qcow2_read_refcount_table(BlockSource *source, const Qcow2HeaderFields *header, Qcow2RefcountEntries *table);
void qcow2_refcount_table_clear(Qcow2RefcountEntries *table);

/* Returns true if entry @i could not be read: the block with its counts is unknown. */
static inline bool qcow2_refcount_entry_unread(const Qcow2RefcountEntries *table, uint64_t i)
{
    return table->error && i < table->n && table->unread[i / QCOW2_REFTABLE_PIECE];
}

typedef struct Qcow2StoredCounts Qcow2StoredCounts;

/* Reads all blocks of @table. NULL and @errp set when memory is short; a block that cannot be read is remembered. */
Qcow2StoredCounts *qcow2_stored_counts_load(BlockSource *source, const Qcow2HeaderFields *header,
                                            const Qcow2RefcountEntries *table, const BlockReadOptions *options,
                                            GError **errp);

void qcow2_stored_counts_free(Qcow2StoredCounts *counts);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Qcow2StoredCounts, qcow2_stored_counts_free)

/* log2 of the number of clusters that qcow2_stored_counts_piece() answers for at once; at most that of Counters. */
unsigned qcow2_stored_counts_piece_bits(const Qcow2StoredCounts *counts);

/* The counts of the piece with @cluster in it, counter 0 being that of its first cluster; NULL where they are unknown.
 */
const Counters *qcow2_stored_counts_piece(const Qcow2StoredCounts *counts, uint64_t cluster);

/* The first cluster at or behind @cluster whose block exists; UINT64_MAX when there is none. */
uint64_t qcow2_stored_counts_next(const Qcow2StoredCounts *counts, uint64_t cluster);

/* Returns true and sets *count if the count of @cluster is known. */
bool qcow2_stored_count(const Qcow2StoredCounts *counts, uint64_t cluster, uint64_t *count);

/* Why the counts around @cluster are unknown: a positive errno value. */
int qcow2_stored_counts_error(const Qcow2StoredCounts *counts, uint64_t cluster);

/*
 * Sets *count to the stored count of @cluster and *n, at least 1, to how many from it on have the same as far as that
 * is known at once. Returns false where their counts are unknown, *count being 0.
 */
bool qcow2_stored_counts_stretch(const Qcow2StoredCounts *counts, uint64_t cluster, uint64_t *count, uint64_t *n);

/* Returns true if the counts around @cluster are unknown because their block is unaligned: block *index, at *offset. */
bool qcow2_stored_counts_unaligned(const Qcow2StoredCounts *counts, uint64_t cluster, uint64_t *index,
                                   uint64_t *offset);

/* Returns true if the counts around @cluster are unknown because the table entry of their block could not be read. */
bool qcow2_stored_counts_block_unknown(const Qcow2StoredCounts *counts, uint64_t cluster);

/*
 * The first of the @n clusters from @first on whose count is known and for which (count == 1) is not @copied, as
 * its distance from @first; @n where there is none.
 */
uint64_t qcow2_stored_counts_copied_mismatch(const Qcow2StoredCounts *counts, uint64_t first, uint64_t n, bool copied);

#endif
