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

#endif
