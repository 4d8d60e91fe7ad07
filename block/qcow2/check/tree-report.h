/*
 * Reporting what is wrong in the trees of an image, as often as it is referred to, in the stock tool's order
 * (docs/interop/check-behaviour.rst 3.3, 3.4 and 4.2).
 *
 * Not thread safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_CHECK_TREE_REPORT_H
#define BLOCK_QCOW2_CHECK_TREE_REPORT_H

#include "block/qcow2/check/walk.h"
#include "block/qcow2/findings/report.h"

typedef struct Qcow2TreeReport Qcow2TreeReport;

/* For a walk after qcow2_walk_finish(). All that is passed is borrowed. */
Qcow2TreeReport *qcow2_tree_report_new(Qcow2Walk *walk, const Qcow2Tables *l1_tables, const Qcow2StoredCounts *stored,
                                       Qcow2Counting *counting);
void qcow2_tree_report_free(Qcow2TreeReport *trees);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Qcow2TreeReport, qcow2_tree_report_free)

/* Reports what is wrong in the tree below the L1 table that @referrer refers to, the table itself included. */
void qcow2_tree_report(Qcow2TreeReport *trees, const Qcow2Location *referrer, Qcow2Report *report);

/* Counts what of the trees was left out of the report since it was full. */
void qcow2_tree_report_count_unreported(Qcow2TreeReport *trees, Qcow2Report *report);

/* What sets wrong COPIED flags right while they are reported. */
typedef struct Qcow2FlagRepair {
    bool (*l1_entry)(void *opaque, uint64_t offset, uint64_t value); /* returns true if the flag of that entry is */
    bool (*l2_table)(void *opaque, uint64_t offset);                 /* returns true if all flags of that table are */
    void *opaque;
} Qcow2FlagRepair;

/*
 * Reports wrong COPIED flags in the tree of the active L1 table, which has @entries at @offset. Those that @repair,
 * which may be NULL, sets right are reported so, and those of an L2 table once only.
 */
void qcow2_tree_report_copied(Qcow2TreeReport *trees, uint64_t offset, uint64_t entries, const Qcow2FlagRepair *repair,
                              Qcow2Report *report);

#endif
