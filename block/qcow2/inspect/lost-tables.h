/*
 * Leaked clusters with the form of tables: an L2 table without its L1 entry leaks itself and all that it maps, and a
 * refcount block that the refcount table lacks leaks itself.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_INSPECT_LOST_TABLES_H
#define BLOCK_QCOW2_INSPECT_LOST_TABLES_H

#include "block/qcow2/check/check.h"

/*
 * Reads some of the leaked clusters, the likely tables first, and adds a note to the findings of @check for each that
 * has the form of one. At most 512 clusters and 64 MiB are read. After qcow2_check_report().
 */
void qcow2_find_lost_tables(Qcow2Check *check);

#endif
