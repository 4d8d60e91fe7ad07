/*
 * Refcount blocks and their table, where they cannot be used: entries that nothing needs are cleared; else all is made
 * anew, and the header switched over. The old ones are leaked then, and freed as others are.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_REPAIR_REBUILD_H
#define BLOCK_QCOW2_REPAIR_REBUILD_H

#include "block/qcow2/repair/allocate.h"

RepairPass repair_blocks;

/* True where refcount blocks may be made anew: for a fault of theirs, or for counts that have no place. */
bool rebuild_wanted(const RepairInput *in);

#endif
