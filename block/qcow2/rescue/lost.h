/*
 * L2 tables that are in use, and to which no L1 table refers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_RESCUE_LOST_H
#define BLOCK_QCOW2_RESCUE_LOST_H

#include "block/qcow2/rescue/trees.h"

/*
 * An array of const Qcow2FoundTable *, in the order of the file; NULL and @errp set when memory is short. What the
 * tables of the disk or of a snapshot map, such as the tables of an image within the guest's disk, is data.
 */
GPtrArray *qcow2_find_lost_tables(const Qcow2Found *found, const Qcow2Trees *trees, GError **errp);

#endif
