/*
 * The findings of a check, collected for a list: neighbours with the same fault become one record while they arrive, so
 * that a million leaks in a row are one.
 *
 * Records stay in the order in which their first fault arrived. Their number has a limit: when it is reached, faults
 * that continue no record are only counted, by kind. The same happens when all texts together are too long: the name of
 * a snapshot may have 65,535 bytes, and be in each of them. The counts of all records and those numbers add up to the
 * counts of the report.
 *
 * Not thread safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_FINDINGS_COLLECTOR_H
#define BLOCK_QCOW2_FINDINGS_COLLECTOR_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "block/qcow2/findings/kinds.h"
#include "block/qcow2/findings/records.h"

typedef struct Qcow2Collector Qcow2Collector;

/* Keeps at most @limit records, with LIMIT_FINDING_TEXT bytes of text for each; with @only_corruptions, no others. */
Qcow2Collector *qcow2_collector_new(size_t limit, bool only_corruptions);
void qcow2_collector_free(Qcow2Collector *collector);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Qcow2Collector, qcow2_collector_free)

/*
 * Adds one fault. What its location borrows must live as long as the collector. Returns its message where it begins a
 * record, as long as nothing else is added; NULL where no message was needed.
 */
const char *qcow2_collector_add(Qcow2Collector *collector, const Qcow2Finding *finding);

/* Counts @n faults that get no record. */
void qcow2_collector_add_unlisted(Qcow2Collector *collector, ImageCheckFindingKind kind, uint64_t n);

/* The records so far. They may be changed, as long as their counts stay. */
Qcow2FindingRecords *qcow2_collector_records(Qcow2Collector *collector);

/* Puts the records of @others in place of those that are there; nothing is added to them any more. */
void qcow2_collector_replace(Qcow2Collector *collector, Qcow2FindingRecords *others);

/* Empties the collector: its records, then one for each kind that was only counted too. The caller owns them. */
Qcow2FindingRecords *qcow2_collector_finish(Qcow2Collector *collector);

#endif
