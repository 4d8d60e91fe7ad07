/*
 * Emptied tables: L2 tables of the disk that are zeros, wholly or in whole sectors, while clusters leak that they may
 * have mapped.
 *
 * A guest that writes leaves no zeros among the entries that it has used, and a range that it discards keeps a flag in
 * an image of version 3. So zeros between used entries are told by what leaks:
 *
 *     inferred   exactly as many clusters leak between those of the entries before and behind as there are zeros
 *     guessed    some leak there, and the zeros begin or end with a sector; or right behind the cluster of the entry
 *                before, or ahead of that of the entry behind; or as many leak anywhere as the zeros may have mapped,
 *                between sectors that are nearly full; or the whole table is zeros
 *
 * In the last two cases all that leaks is kept.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_INSPECT_EVIDENCE_EMPTIED_H
#define BLOCK_QCOW2_INSPECT_EVIDENCE_EMPTIED_H

#include "block/qcow2/check/check.h"
#include "block/qcow2/inspect/lost-data.h"

/*
 * Adds to @lost what of the leaked clusters that are not kept yet is to be, and why. Reads all L2 tables once more
 * where there are any. False and @errp set when memory is short.
 */
bool qcow2_find_emptied(Qcow2Check *check, Qcow2LostData *lost, GError **errp);

#endif
