/*
 * Counting the refcount blocks. It comes last: each block must be referenced exactly once, so everything else is
 * counted before (docs/interop/check-behaviour.rst 3.5).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_CHECK_REFBLOCKS_H
#define BLOCK_QCOW2_CHECK_REFBLOCKS_H

#include "block/qcow2/check/count.h"
#include "block/qcow2/load/refcount-blocks.h"

/* Counts the blocks of @table, after qcow2_counting_finish(), and reports their faults. False when memory is short. */
bool qcow2_count_refcount_blocks(const Qcow2RefcountEntries *table, Qcow2Counting *counting, Qcow2Report *report,
                                 GError **errp);

/* Returns true, and *kind is what is wrong, if @entry of a refcount table can name no block; one of 0 names none. */
bool qcow2_refcount_entry_bad(const Qcow2Counting *counting, uint64_t entry, ImageCheckFindingKind *kind);

#endif
