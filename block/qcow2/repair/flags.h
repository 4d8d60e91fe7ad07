/*
 * COPIED flags: set exactly where the reference count is 1.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_REPAIR_FLAGS_H
#define BLOCK_QCOW2_REPAIR_FLAGS_H

#include "block/qcow2/repair/allocate.h"

/* Reports those that are wrong, and sets them right if they are to be repaired. */
RepairPass repair_flags;

/* True where a COPIED flag contradicts the stored counts. */
bool flags_wrong(const Qcow2Check *check);

#endif
