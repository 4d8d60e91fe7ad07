/*
 * Data in places of the file that nothing uses and no reference count covers.
 *
 * The file system is asked where data is, a bounded number of times; nothing is read but what it names.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_INSPECT_UNMAPPED_H
#define BLOCK_QCOW2_INSPECT_UNMAPPED_H

#include "block/qcow2/check/check.h"

/* Adds them to the findings that @check has collected. After qcow2_check_report(). */
void qcow2_find_unmapped_data(Qcow2Check *check);

#endif
