/*
 * The findings of a check, collected for a list: neighbours with the same fault become one record while they arrive, so
 * that a million leaks in a row are one.
 *
 * Records stay in the order in which their first fault arrived. Their number has a limit: when it is reached, faults
 * that continue no record are only counted, by kind. The same happens when all texts together are too long: the name of
 * a snapshot may have 65,535 bytes, and be in each of them. The counts of all records and those numbers add up to the
 * counts of the report.
 *
 * Memory: about 250 bytes a record, and its text. Not thread safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_FINDINGS_COLLECTOR_H
#define BLOCK_QCOW2_FINDINGS_COLLECTOR_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "block/qcow2/findings/kinds.h"
#include "qapi/qapi-types.h"

typedef struct Qcow2FindingRecord {
    ImageCheckFindingKind kind;
    bool fixed;
    bool has_evidence;
    ImageCheckEvidence evidence;
    uint64_t count;         /* faults in it; 1 for a note */
    Qcow2Location location; /* of all of them; the entry is that of the first */
    bool same_value;        /* all entries name the one range of the file */
    uint64_t last_entry;    /* the entry of the last, where they have any */
    char *message;          /* of the first */
    GArray *other_users;    /* Qcow2Location; NULL = none known */
} Qcow2FindingRecord;

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

/* The records so far: Qcow2FindingRecord. They may be changed, as long as their counts stay. */
GArray *qcow2_collector_records(Qcow2Collector *collector);

/* Puts @records, which it takes over, in place of those that are there; nothing is added to them any more. */
void qcow2_collector_set_records(Qcow2Collector *collector, GArray *records);

/* Empties the collector into @list, which is clear: its records, then what was only counted. False and @errp set
 * without memory. */
bool qcow2_collector_finish(Qcow2Collector *collector, ImageCheckFindingList *list, GError **errp);

#endif
