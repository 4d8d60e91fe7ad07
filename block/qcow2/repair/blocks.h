/*
 * Refcount blocks and their table: which of them can be written where they are.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_REPAIR_BLOCKS_H
#define BLOCK_QCOW2_REPAIR_BLOCKS_H

#include "block/qcow2/repair/target-counts.h"

/* Faults that keep refcount blocks, or their table, from being used: what is behind them is made anew. */
#define BLOCKS_UNUSABLE                                                                                                \
    (QCOW2_FINDING_BIT(QCOW2_FINDING_REFCOUNT_TABLE_RESERVED_BITS) |                                                   \
     QCOW2_FINDING_BIT(QCOW2_FINDING_REFCOUNT_BLOCK_UNALIGNED) |                                                       \
     QCOW2_FINDING_BIT(QCOW2_FINDING_REFCOUNT_BLOCK_SHARED) | QCOW2_FINDING_BIT(QCOW2_FINDING_REFCOUNT_BLOCK_OUTSIDE))

/* Returns true if entry @i of the table names a place where a block can be, or none: *offset, 0. */
bool blocks_location(const TargetCounts *t, size_t i, uint64_t *offset);

/* Returns true if there is a block @i, whose counts can be written where they are, at *offset. */
bool blocks_writable(const TargetCounts *t, uint64_t i, uint64_t *offset);

/* Returns true if entry @i is not needed, and names no block, or something that it must not share. */
bool blocks_entry_harmful(const TargetCounts *t, size_t i);

/* Returns true if a block is something else too, be it that counts of this width cannot say so: it must not be written
 * to.
 */
bool blocks_any_shared(const TargetCounts *t);

/* Returns true if nothing but the refcount table is in its clusters; *writable: an entry can be changed where it is. */
bool blocks_table_sound(const TargetCounts *t, bool *writable);

/* Returns true if a count is wanted that has no sound block. */
bool blocks_must_rebuild(const TargetCounts *t);

typedef enum BlocksChange {
    BLOCKS_RAISE_RESERVED, /* counts of what was reserved: nothing else rises */
    BLOCKS_RAISE,          /* counts that are too low */
    BLOCKS_SETTLE,         /* all that may change, when others have risen */
} BlocksChange;

/* Adds the edit that changes counts of block @index, if there is one that can be written. */
void blocks_add_edit(const TargetCounts *t, Edits *edits, uint64_t index, BlocksChange change,
                     ImageCheckFindingKind why);

#endif
