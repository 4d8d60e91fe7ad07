/*
 * The snapshot table (docs/interop/qcow2-format.rst 9, docs/interop/check-behaviour.rst 3.1).
 *
 * A damaged table is read as far as its entries are plausible: its faults are reported, and the snapshots before them,
 * and plausible ones behind them, are returned. If the length of an entry cannot be right, the next plausible entry
 * gives the true length. Where the header counts more than there can be, all that are sound are read.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_LOAD_SNAPSHOT_TABLE_H
#define BLOCK_QCOW2_LOAD_SNAPSHOT_TABLE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "block/qcow2/findings/report.h"
#include "block/qcow2/load/snapshot-entry.h"

typedef struct Qcow2Snapshots {
    GArray *items;         /* Qcow2Snapshot */
    uint64_t table_length; /* bytes, from the first entry to the end of the last one's name; 0 = no table */
    bool complete;         /* all entries that can be kept are there, so that the table can be written anew */
    bool there;            /* all of it lies in the file, and it was not zeros that were read as entries */
} Qcow2Snapshots;

/* Faults that a repair sets right in the table itself, all of them or none. */
#define QCOW2_SNAPSHOT_TABLE_FAULTS                                                                                    \
    (QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOTS_TOO_MANY) | QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOT_EXTRA_TOO_LARGE) | \
     QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOT_TABLE_TOO_BIG) | QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOT_INCOMPLETE))

/*
 * Reads the table that @header points at and reports its faults. Those in report->repairing are reported as being
 * repaired if all of the table's can be; else they are errors, as in a check.
 */
void qcow2_read_snapshots(BlockSource *source, const Qcow2HeaderFields *header, Qcow2Snapshots *snapshots,
                          Qcow2Report *report);
void qcow2_snapshots_clear(Qcow2Snapshots *snapshots);

#endif
