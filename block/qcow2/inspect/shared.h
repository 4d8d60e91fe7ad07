/*
 * Clusters that are used for two things while their reference count allows for it, so that a check has nothing against
 * them: metadata with another user, and data that two ranges of one disk share.
 *
 * Looks at the counts; where a list of findings is wanted, and something is shared, the L2 tables are read once more.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_INSPECT_SHARED_H
#define BLOCK_QCOW2_INSPECT_SHARED_H

#include "block/qcow2/check/check.h"

/*
 * Adds a note for each to the findings, where they are wanted. *@found is 0 where there are none. After
 * qcow2_check_report(). False and @errp set when memory is short, or the source is lost.
 */
bool qcow2_find_shared(Qcow2Check *check, uint64_t *found, GError **errp);

#endif
