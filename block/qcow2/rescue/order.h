/*
 * The order of lost L2 tables: which place in the disk each gets.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_RESCUE_ORDER_H
#define BLOCK_QCOW2_RESCUE_ORDER_H

#include "block/qcow2/rescue/trees.h"

/*
 * Gives the lost tables their slots: by what snapshots and an earlier copy of the metadata say, then by the order in
 * the file. @unplaced gets those (const Qcow2FoundTable *) for which there is none. False and @errp set when memory is
 * short.
 */
bool qcow2_place_tables(const Qcow2Found *found, Qcow2Trees *trees, GPtrArray *unplaced, GError **errp);

/* The entries of the L1 table in the copy of the metadata, *@n of them; NULL if there is none. The caller frees them.
 */
uint64_t *qcow2_metadata_l1(const Qcow2Found *found, uint32_t *n);

#endif
