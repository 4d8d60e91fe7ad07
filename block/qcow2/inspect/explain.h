/*
 * Explaining findings: a second pass over the image, when all faults are known, finds the users of the clusters with
 * wrong counts. A wrong reference count is divided among the users of the clusters, which gives the range of the
 * guest's disk. Clusters with several users name them all.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_INSPECT_EXPLAIN_H
#define BLOCK_QCOW2_INSPECT_EXPLAIN_H

#include "block/qcow2/check/check.h"

/*
 * Adds users and ranges to the findings collected by @check. Free if no finding requires them. Call after
 * qcow2_check_report(), and before the counts are forgotten. False and @errp set when memory is short, or the source is
 * lost.
 */
bool qcow2_explain_findings(Qcow2Check *check, GError **errp);

/*
 * Replaces each of *users, as found by qcow2_find_users(), that belongs to several trees by one for each tree, up to a
 * limit.
 */
void qcow2_tell_trees_apart(Qcow2Check *check, GArray **users);

#endif
