/*
 * A new snapshot table, with all that an entry must have today, and without what cannot be kept.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_REPAIR_SNAPSHOTS_H
#define BLOCK_QCOW2_REPAIR_SNAPSHOTS_H

#include "block/qcow2/repair/allocate.h"

RepairPass repair_snapshots;

#endif
