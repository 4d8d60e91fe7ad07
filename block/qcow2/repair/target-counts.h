/*
 * The reference counts that an image is to have: those that were computed, leaked clusters that stay, and clusters that
 * a pass reserves. They are never kept as a list of changes: what changes is the difference to the stored counts.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_REPAIR_TARGET_COUNTS_H
#define BLOCK_QCOW2_REPAIR_TARGET_COUNTS_H

#include "block/qcow2/format/format.h"
#include "block/qcow2/inspect/evidence.h"
#include "block/qcow2/repair/layout.h"

/* Clusters that passes have reserved, of the whole repair. */
typedef struct Reserved {
    RefMap *clusters; /* not 0 for those that were reserved */
    bool any;
    bool rebuilt; /* there are new refcount blocks among them */
} Reserved;

typedef struct TargetCounts {
    const RepairInput *in;
    const MetadataLayout *layout;
    const Qcow2StoredCounts *stored;
    RefMap *counts;           /* those of the check, to which the others are added */
    RefMap *kept;             /* how many of them are leaked references that stay; NULL = none */
    uint64_t leaks_kept;      /* clusters that have any */
    bool may_raise;           /* counts that are too low */
    bool may_lower;           /* and too high */
    bool keep_leaks;          /* leaked clusters stay, for a fault that remains, or: */
    const char *orphaned;     /* for what may be in them, as a phrase; NULL = nothing */
    bool snapshot_unlisted;   /* that is a snapshot, of which a new table would have no trace */
    const Reserved *reserved; /* clusters for which a count was wanted; set by the allocator */
    bool has_evidence;        /* the clusters for which a count was wanted are put back by evidence, of this class: */
    ImageCheckEvidence evidence;
    Qcow2LostData lost; /* the evidence for what is kept otherwise; clear: not looked for */
} TargetCounts;

/*
 * Begins with the counts of the check of @in, which are reported; keep_leaks() adds what is to stay. Cleared in any
 * case by target_counts_clear().
 */
void target_counts_init(TargetCounts *t, const RepairInput *in, const MetadataLayout *layout);
void target_counts_clear(TargetCounts *t);

/* Neighbouring clusters for which both counts are the same, and are not each other. */
typedef struct CountRun {
    uint64_t first;
    uint64_t n;
    uint64_t stored;
    uint64_t target;
    bool known; /* the stored count is */
} CountRun;

/* The next of them at or behind cluster @at; false where there is none. Runs end where a piece of counters does. */
bool target_counts_next_run(const TargetCounts *t, uint64_t at, CountRun *run);

/* The count that clusters of @run will have in the blocks that there are: one that may not be changed stays. */
uint64_t target_counts_final(const TargetCounts *t, const CountRun *run);

/* The references to @cluster that were computed. */
uint64_t target_counts_computed(const TargetCounts *t, uint64_t cluster);

/* Returns true if the refcount table has an entry for block @index; without one, all counts that it has are 0. */
static inline bool target_counts_has_block(const TargetCounts *t, uint64_t index)
{
    const Qcow2RefcountEntries *table = &t->in->image->refcount_table;

    return index < table->n && table->entries[index] & QCOW2_REFTABLE_OFFSET_MASK;
}

/* One more than the index of the last refcount block that the target counts need. */
uint64_t target_counts_blocks_end(const TargetCounts *t);

/* The first refcount block from @index on that has a cluster whose target count is not 0; UINT64_MAX: none. */
uint64_t target_counts_next_block(const TargetCounts *t, uint64_t index);

/* Returns true if block @index is one. To find them all, go from one to the next: most may be needed for nothing. */
bool target_counts_block_needed(const TargetCounts *t, uint64_t index);

/* Writes target counts into @bytes, a block of zeros, number @index. */
void target_counts_fill_block(const TargetCounts *t, uint64_t index, uint8_t *bytes);

#endif
