/*
 * The size of the guest's disk.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_RESCUE_DISK_SIZE_H
#define BLOCK_QCOW2_RESCUE_DISK_SIZE_H

#include "block/qcow2/rescue/trees.h"

/*
 * Sets the size: that of a header, if the tables do not contradict it, or of the newest snapshot; otherwise the end of
 * what the slots map, rounded up. Call it again when more slots have tables.
 */
void qcow2_find_disk_size(const Qcow2Found *found, Qcow2Trees *trees);

#endif
