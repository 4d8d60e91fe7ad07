/*
 * Guest data that lies on metadata gets another place: the entries get copies of it, or the L2 table that it lies on
 * does, in an order in which no guest sees a difference.
 *
 * An entry is overwritten only where no other guest data lies on its table, else that would change. So an entry waits
 * for those that lie on its table; where these wait in turn, be it for one another, it is the table that is copied, as
 * L1 entries can be switched over to the copy without a change to the table. What waits is done when the pass is called
 * again, which finds it in a table where nothing lies.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_REPAIR_MOVES_H
#define BLOCK_QCOW2_REPAIR_MOVES_H

#include "block/qcow2/repair/allocate.h"
#include "block/qcow2/repair/overlap.h"

RepairPass repair_moves;

/* What is reported where guest data lies on metadata: of several faults the first. */
ImageCheckFindingKind moves_why(const RepairInput *in);

/* True where nothing else of a guest lies on the table of @e, so that it can be overwritten. */
bool moves_entry_ready(const MetadataLayout *layout, const OverlappedEntry *e);

/* Copies the L2 tables that data lies on which is not ready. In move-tables.c. */
RepairPass moves_copy_tables;

/* Tells the user where such data has found no other place, when no pass has anything to do any more. */
void moves_report_unmoved(const RepairInput *in, const MetadataLayout *layout);

#endif
