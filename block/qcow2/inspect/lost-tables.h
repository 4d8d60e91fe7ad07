/*
 * Leaked clusters that look like tables: an L2 table whose L1 entry is gone leaks itself and all that it maps, and a
 * refcount block that is missing in the refcount table leaks itself.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_INSPECT_LOST_TABLES_H
#define BLOCK_QCOW2_INSPECT_LOST_TABLES_H

#include "block/qcow2/check/check.h"

/*
 * Reads some of the leaked clusters, those that are likely to be tables first, and adds a note to the findings of
 * @check for each that looks like one. At most 512 clusters and 64 MiB are read. After qcow2_check_report().
 */
void qcow2_find_lost_tables(Qcow2Check *check);

#endif
