/*
 * Leaked clusters that look like refcount blocks: one that is missing in the refcount table leaks itself.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_INSPECT_LOST_BLOCKS_H
#define BLOCK_QCOW2_INSPECT_LOST_BLOCKS_H

#include "block/qcow2/check/check.h"

/*
 * Returns how many counts in the cluster at @bytes are those that were computed, as refcount block @index, where nearly
 * all are but for leaks, of which there are no more; else 0.
 */
uint64_t qcow2_lost_block_counts(const Qcow2Check *check, const uint8_t *bytes, uint64_t index);

/*
 * Where the refcount table lacks a block, reads some of the leaked clusters, and adds a note to the findings of @check
 * for each that looks like one. At most 512 clusters and 64 MiB are read. After qcow2_check_report().
 */
void qcow2_find_lost_blocks(Qcow2Check *check);

#endif
