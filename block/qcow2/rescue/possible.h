/*
 * Numbers of a header that can be, by what was found in the file.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_RESCUE_POSSIBLE_H
#define BLOCK_QCOW2_RESCUE_POSSIBLE_H

#include "block/qcow2/rescue/found.h"

/* Returns true if a disk can have @size bytes. */
bool qcow2_possible_disk_size(const Qcow2Found *found, uint64_t size);

/* Returns true if a snapshot has the state of a machine, which L1 tables map behind the end of the disk. */
bool qcow2_has_vm_state(const Qcow2Found *found);

/* Returns true if an L1 table of @n entries fits the size of the disk as far as the header tells it. */
bool qcow2_l1_size_fits(const Qcow2Found *found, uint32_t n);

#endif
