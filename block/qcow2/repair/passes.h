/*
 * The passes of a repair, in the order of the chain; see plan.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_REPAIR_PASSES_H
#define BLOCK_QCOW2_REPAIR_PASSES_H

#include "block/qcow2/repair/allocate.h"
#include "block/qcow2/repair/overlap.h"

/*
 * A pass looks at the image as the passes before it leave it, and adds edits to @edits where it has something to do.
 * False and @errp set when memory is short, or there is no room for what nothing can do without.
 */
typedef bool RepairPass(const RepairInput *in, const MetadataLayout *layout, Allocator *alloc, Edits *edits,
                        GError **errp);

/* Unaligned L2 entries without data become plain zero. @alloc is not used. */
RepairPass repair_entries;

/* Returns true if all tables that have such entries can be overwritten. Before they are reported. */
bool entries_all_writable(const MetadataLayout *layout);

/* Bitmaps with bits that lie in clusters of something else are marked as in use. @alloc is not used. */
RepairPass repair_bitmaps;

/*
 * The number of snapshots where that alone is wrong; else a new table, with all that an entry must have today, and
 * without what cannot be kept.
 */
RepairPass repair_snapshots;

/* The parts of it that make a table: appends all entries that there are to @table, but for that with index @without. */
bool snapshots_append_others(const RepairInput *in, GByteArray *table, guint without, GError **errp);

/*
 * Finds a place for @table, which has @n entries and may get zeros behind them, and lets the header refer to it. Edits
 * are like @like. Where there is no place, that is said, and the old table stays.
 */
bool snapshots_place_table(const RepairInput *in, Allocator *alloc, Edits *edits, GByteArray *table, uint32_t n,
                           const Edit *like, GError **errp);

/*
 * Refcount blocks and their table, where they cannot be used: entries that nothing needs are cleared; else all is made
 * anew, and the header switched over. The old ones are leaked then, and freed as others are.
 */
RepairPass repair_blocks;

/*
 * Puts back what is lost, as sure as is asked for: L2 tables, L1 tables, entries of emptied tables. Where nothing is
 * mapped only. When the passes before have nothing to do any more.
 */
RepairPass repair_restore;

/* The part of it that puts refcount blocks back into their table, before they are made anew; without --restore, too. */
RepairPass repair_restore_blocks;

/*
 * Adds the leaked clusters that look like a missing block, and that the pass puts nowhere, to those that @lost keeps.
 * False: memory is short.
 */
bool restore_blocks_keep(const TargetCounts *targets, Qcow2LostData *lost);

/* Does what a person asks for, and nothing else: the only pass of such a repair. Refused with @errp as a whole. */
RepairPass repair_request;

/* Returns true if refcount blocks may be made anew: for a fault of theirs, or for counts that have no place. */
bool rebuild_wanted(const RepairInput *in);

/*
 * Guest data that lies on metadata gets another place: the entries get copies of it, or the L2 table that it lies on
 * does, in an order in which no guest sees a difference.
 *
 * An entry is overwritten only where no other guest data lies on its table, else that would change. So an entry waits
 * for those that lie on its table; where these wait in turn, be it for one another, it is the table that is copied, as
 * L1 entries can be switched over to the copy without a change to the table. What waits is done when the pass is called
 * again, which finds it in a table where nothing lies.
 */
RepairPass repair_moves;

/* The part of it that copies tables. */
RepairPass moves_copy_tables;

/* What is reported where guest data lies on metadata: of several faults the first. */
ImageCheckFindingKind moves_why(const RepairInput *in);

/* Returns true if nothing else of a guest lies on the table of @e, so that it can be overwritten. */
bool moves_entry_ready(const MetadataLayout *layout, const OverlappedEntry *e);

/* Tells the user where such data has found no other place, when no pass has anything to do any more. */
void moves_report_unmoved(const RepairInput *in, const MetadataLayout *layout);

/* Counts in the blocks that there are: those that are too low are raised, those that are too high lowered. */
RepairPass repair_refcounts;

/* COPIED flags that are wrong are reported, and set right if they are to be repaired. */
RepairPass repair_flags;

/* Returns true if a COPIED flag contradicts the stored counts. */
bool flags_wrong(const Qcow2Check *check);

#endif
