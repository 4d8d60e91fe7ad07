/*
 * Reference counts in the blocks that there are: those that are too low are raised, those that are too high lowered.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_REPAIR_REFCOUNTS_H
#define BLOCK_QCOW2_REPAIR_REFCOUNTS_H

#include "block/qcow2/repair/allocate.h"

RepairPass repair_refcounts;

/* Tells the user once more which counts are wrong, of those that were when the repair began, and which are repaired. */
void refcounts_report_again(const RepairInput *in, const TargetCounts *targets);

#endif
