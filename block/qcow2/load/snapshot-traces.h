/*
 * Traces of snapshots that the snapshot table does not list: entries that were not read as such, as a length before
 * them is damaged, or the header counts too few.
 *
 * Not thread safe. Offsets are bytes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_LOAD_SNAPSHOT_TRACES_H
#define BLOCK_QCOW2_LOAD_SNAPSHOT_TRACES_H

#include "block/qcow2/load/snapshot-table.h"

/*
 * Offsets of L1 tables (uint64_t) of what looks like such an entry in the clusters of the table; 0 for one whose L1
 * table is not known. The caller frees the array.
 */
GArray *qcow2_snapshots_unlisted(BlockSource *source, const Qcow2HeaderFields *header, const Qcow2Snapshots *snapshots);

#endif
