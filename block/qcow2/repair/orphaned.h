/*
 * Whether leaked clusters are to be kept: they may be the last copy of something that only looks as if nothing refers
 * to it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_REPAIR_ORPHANED_H
#define BLOCK_QCOW2_REPAIR_ORPHANED_H

#include "block/qcow2/repair/layout.h"

/* True where there is a fault that may be what made clusters look leaked. */
bool repair_may_cause_false_leaks(const RepairInput *in);

/* What is orphaned in leaked clusters although there is no such fault, as a phrase; NULL: nothing. */
const char *repair_orphaned(const RepairInput *in, const MetadataLayout *layout);

/* True where the snapshot table has traces of a snapshot that is not listed, and whose tables leak. */
bool repair_snapshot_unlisted(const RepairInput *in, const MetadataLayout *layout);

#endif
