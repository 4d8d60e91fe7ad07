/*
 * Tables that the end of the file cuts off: their entries behind it are lost, and read as zeros.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_INSPECT_EVIDENCE_CUT_H
#define BLOCK_QCOW2_INSPECT_EVIDENCE_CUT_H

#include "block/qcow2/check/check.h"
#include "block/qcow2/inspect/lost-data.h"

/*
 * Adds to @lost each L2, L1, snapshot and bitmap table of @check that begins in the file and does not end there. All
 * that leaks is kept where there is one.
 */
void qcow2_find_cut_off(const Qcow2Check *check, Qcow2LostData *lost);

#endif
