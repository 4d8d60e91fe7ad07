/*
 * Who is concerned by a finding: a look back at the image, once all faults are known, for those that can be told only
 * so. A wrong reference count is divided among the users of the clusters, which tells the range of the guest's disk;
 * clusters with several users name them all.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_INSPECT_EXPLAIN_H
#define BLOCK_QCOW2_INSPECT_EXPLAIN_H

#include "block/qcow2/check/check.h"

/*
 * Adds to the findings collected by @check what a look back tells. Costs nothing where nothing asks for it. After
 * qcow2_check_report(), and before the counts are forgotten. False and @errp set when memory is short, or the source is
 * lost.
 */
bool qcow2_explain_findings(Qcow2Check *check, GError **errp);

/*
 * Replaces those of *users, as qcow2_find_users() has found them, that stand for several trees by one for each, as far
 * as there are not too many.
 */
void qcow2_tell_trees_apart(Qcow2Check *check, GArray **users);

#endif
