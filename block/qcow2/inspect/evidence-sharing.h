/*
 * Which lost L2 tables share clusters with a table in use, at the same index: that is how a snapshot and the disk, or
 * two snapshots, map a range that was not written to since.
 *
 * A few clusters of each lost table are looked up; where there are any, all tables in use are read once more.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_INSPECT_EVIDENCE_SHARING_H
#define BLOCK_QCOW2_INSPECT_EVIDENCE_SHARING_H

#include "block/qcow2/inspect/evidence-candidates.h"

typedef struct Qcow2SharedPlace {
    uint64_t candidate; /* its number */
    uint64_t index;     /* of the L1 entry of the table that shares clusters with it */
    int tree;           /* whose L1 table that is: QCOW2_TREE_ACTIVE or the index of a snapshot */
    bool copied;        /* the candidate has COPIED flags: a guest wrote to it */
} Qcow2SharedPlace;

/*
 * One Qcow2SharedPlace for each candidate that shares clusters with tables of one L1 index only, sorted by candidate.
 * NULL and @errp set when memory is short.
 */
GArray *qcow2_find_sharing(Qcow2Check *check, const Qcow2Candidates *candidates, GError **errp);

/* Sorts @sharing (Qcow2SharedPlace) for: */
void qcow2_sort_sharing(GArray *sharing);

/* How many of @sharing have @index: 0, 1, or 2 for several; if @copied, only of those that have COPIED flags. */
unsigned qcow2_count_sharing(const GArray *sharing, uint64_t index, bool copied);

#endif
