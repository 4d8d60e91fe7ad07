/*
 * Leaked clusters that a repair keeps: they may be the last copy of something that only looks as if nothing refers to
 * it, for a fault that remains, or for what was lost without leaving one, of which there are traces elsewhere.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_REPAIR_KEPT_LEAKS_H
#define BLOCK_QCOW2_REPAIR_KEPT_LEAKS_H

#include "block/qcow2/repair/target-counts.h"

/* Returns true if there is a fault that may be what made clusters look leaked. */
bool repair_may_cause_false_leaks(const RepairInput *in);

/*
 * Adds the leaked references that stay to the counts of @t: all, or those to what is lost data by the evidence, and
 * notes why. @check is that of @t, and is read again for it. What is leaked beyond what was when the repair began was
 * set free by the repair.
 */
bool keep_leaks(TargetCounts *t, Qcow2Check *check, GError **errp);

/* Reports which leaked clusters are kept, and why; nothing where there are none, or leaks are not to be repaired. */
void repair_report_kept(const RepairInput *in, const TargetCounts *t);

#endif
