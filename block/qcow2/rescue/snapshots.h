/*
 * The snapshot table of an image whose header may be lost.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_RESCUE_SNAPSHOTS_H
#define BLOCK_QCOW2_RESCUE_SNAPSHOTS_H

#include "block/qcow2/rescue/found.h"

/* Sets @found->snapshots and @found->snapshots_offset: the table with the most snapshots whose L1 tables are there. */
void qcow2_find_snapshots(Qcow2Found *found);

#endif
