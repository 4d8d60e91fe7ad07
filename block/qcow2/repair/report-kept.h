/*
 * Reports which leaked clusters a repair keeps, and why.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_REPAIR_REPORT_KEPT_H
#define BLOCK_QCOW2_REPAIR_REPORT_KEPT_H

#include "block/qcow2/repair/target-counts.h"

/* Writes nothing where no leaked cluster is kept, or where leaks are not to be repaired. */
void repair_report_kept(const RepairInput *in, const TargetCounts *targets);

#endif
