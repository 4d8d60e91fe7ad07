/*
 * Counting the refcount blocks, which comes last and is different: each block must be referenced exactly once, and
 * whether it is can only be told when everything else is counted (spec check-behaviour 3.5).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_CHECK_REFBLOCKS_H
#define BLOCK_QCOW2_CHECK_REFBLOCKS_H

#include "block/qcow2/check/count.h"
#include "block/qcow2/load/refcount-blocks.h"

/* Counts the blocks of @table, after qcow2_counting_finish(), and reports what is wrong. False when memory is short. */
bool qcow2_count_refcount_blocks(const Qcow2RefcountEntries *table, Qcow2Counting *counting, Qcow2Report *report,
                                 GError **errp);

/*
 * The same for those blocks that lie in the window that is counted; nothing is reported, and what there is to report is
 * added to @uses, from qcow2_block_uses_new(). False, too, where that takes more memory than the window has.
 */
bool qcow2_count_refcount_blocks_in_window(const Qcow2RefcountEntries *table, Qcow2Counting *counting, GArray *uses,
                                           GError **errp);
GArray *qcow2_block_uses_new(void);
uint64_t qcow2_block_uses_bytes(const GArray *uses);

/* Reports it all, when all windows are counted. */
void qcow2_report_refcount_blocks(const Qcow2RefcountEntries *table, const Qcow2Counting *counting, GArray *uses,
                                  Qcow2Report *report);

#endif
