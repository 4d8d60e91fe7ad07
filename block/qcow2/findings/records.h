/*
 * Findings as records: what a check keeps of each until its result is written.
 *
 * A record is small and owns nothing; texts and other users are kept for all records together. The objects of the
 * schema are made of records one at a time, when somebody looks at them (qapi/sequence.h).
 *
 * Memory: 24 bytes for a record of wrong counts and no more, whose message is made when it is shown; for others 128
 * bytes more, and the text. Not thread safe while it changes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_FINDINGS_RECORDS_H
#define BLOCK_QCOW2_FINDINGS_RECORDS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "block/qcow2/findings/record.h"
#include "qapi/qapi-types.h"

typedef struct Qcow2FindingRecords {
    /* blocks of some hundred records each: touching memory twice, to move them, takes long */
    GPtrArray *packed; /* PackedRecord */
    GPtrArray *others; /* Qcow2FindingRecord, for which a packed one gives the number */
    guint n;
    guint n_others;
    bool named;    /* some of them have names of snapshots or bitmaps */
    GArray *users; /* Qcow2Location: other users; those of one record are side by side */
    GStringChunk *texts;
} Qcow2FindingRecords;

Qcow2FindingRecords *qcow2_finding_records_new(void);
void qcow2_finding_records_free(Qcow2FindingRecords *records);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Qcow2FindingRecords, qcow2_finding_records_free)

/* Record number @index. */
Qcow2FindingRecord qcow2_finding_records_at(const Qcow2FindingRecords *records, guint index);

/* Puts @record in its place. */
void qcow2_finding_records_set(Qcow2FindingRecords *records, guint index, const Qcow2FindingRecord *record);

/* Adds a copy of @record, whose message is among the texts, or can be made. */
void qcow2_finding_records_add(Qcow2FindingRecords *records, const Qcow2FindingRecord *record);

/* Leaves out the records from number @n on. */
void qcow2_finding_records_cut(Qcow2FindingRecords *records, guint n);

/* Puts the records of @other in place of those of @records. Texts and users stay. */
void qcow2_finding_records_replace(Qcow2FindingRecords *records, Qcow2FindingRecords *other);

/* Copies the names that locations borrow, each name once. */
void qcow2_finding_records_own_names(Qcow2FindingRecords *records);

/* Makes a sequence of ImageCheckFinding, which owns @records. Their names are their own. */
QapiSequence qcow2_finding_records_show(Qcow2FindingRecords *records);

/* Adds those of @before to @findings, which is such a sequence, as fixed, that are not among them. */
void qcow2_findings_add_fixed(QapiSequence *findings, Qcow2FindingRecords *before);

#endif
