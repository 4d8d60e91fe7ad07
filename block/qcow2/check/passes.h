/*
 * A check in passes, with less memory than all counts would take.
 *
 * What grows with the clusters of an image are the counts, stored and computed. So the file is taken window by window:
 * for each of them the stored counts are loaded, and all tables are read and what refers into the window is counted
 * (a pass). What must be known before the first message is remembered: faults of entries, clusters with too many
 * references, and whether the two counts of any cluster differ. Windows in which they do are counted once more when it
 * is their turn in the report, so that messages, counts and order are those of a check in one pass.
 *
 * How large a window may be is not known beforehand, since counts that are alike take nearly no memory. The first
 * window is the whole file. Where its counts take more than there is, it is given up and halved.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_CHECK_PASSES_H
#define BLOCK_QCOW2_CHECK_PASSES_H

#include "block/qcow2/check/check.h"

/*
 * Counts and reports all, in stock order, as qcow2_check_count() and qcow2_check_report() do, within
 * options->max_memory; snapshot table and bitmap directory have been read. There are no counts left afterwards. False
 * and @errp set when that is not enough, or memory is short, or the source is lost.
 */
bool qcow2_check_in_passes(Qcow2Check *check, GError **errp);

#endif
