/*
 * Every kind of fault that a check can find, in one table: what it counts as, and the stock tool's text of it.
 *
 * A report takes findings in the stock tool's order, counts them and writes their texts.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_FINDINGS_H
#define BLOCK_QCOW2_FINDINGS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* In the order in which a check meets them. Numbers and texts that the message takes are in the table. */
typedef enum Qcow2FindingKind {
    QCOW2_FINDING_SNAPSHOTS_TOO_MANY,
    QCOW2_FINDING_SNAPSHOTS_TOO_MANY_HINT,
    QCOW2_FINDING_SNAPSHOT_TABLE_UNALIGNED,
    QCOW2_FINDING_SNAPSHOT_EXTRA_TOO_LARGE,
    QCOW2_FINDING_SNAPSHOT_TABLE_TOO_BIG,
    QCOW2_FINDING_SNAPSHOT_TABLE_UNREADABLE,
    QCOW2_FINDING_SNAPSHOT_INCOMPLETE,
    QCOW2_FINDING_REGION_BEYOND_END,
    QCOW2_FINDING_REFCOUNT_OVERFLOW,
    QCOW2_FINDING_SNAPSHOTS_WITH_DATA_FILE,
    QCOW2_FINDING_SNAPSHOT_L1_UNALIGNED,
    QCOW2_FINDING_SNAPSHOT_L1_TOO_LARGE,
    QCOW2_FINDING_L1_UNREADABLE,
    QCOW2_FINDING_L1_RESERVED_BITS,
    QCOW2_FINDING_L2_TABLE_UNALIGNED,
    QCOW2_FINDING_L2_UNREADABLE,
    QCOW2_FINDING_L2_RESERVED_BITS,
    QCOW2_FINDING_COMPRESSED_COPIED,
    QCOW2_FINDING_COMPRESSED_WITH_DATA_FILE,
    QCOW2_FINDING_COMPRESSED_WITH_BITMAP,
    QCOW2_FINDING_SUBCLUSTERS_CONTRADICT,
    QCOW2_FINDING_DATA_UNALIGNED,
    QCOW2_FINDING_PREALLOCATED_UNALIGNED,
    QCOW2_FINDING_UNALLOCATED_WITH_BITMAP,
    QCOW2_FINDING_BITMAP_DIRECTORY_DAMAGED,
    QCOW2_FINDING_BITMAP_DIRECTORY_UNREADABLE,
    QCOW2_FINDING_BITMAP_DAMAGED,
    QCOW2_FINDING_BITMAP_TABLE_UNREADABLE,
    QCOW2_FINDING_BITMAP_TABLE_ENTRY,
    QCOW2_FINDING_REFTABLE_RESERVED_BITS,
    QCOW2_FINDING_REFBLOCK_UNALIGNED,
    QCOW2_FINDING_REFBLOCK_OUTSIDE,
    QCOW2_FINDING_REFBLOCK_SHARED,
    QCOW2_FINDING_REFBLOCK_CORRUPT,
    QCOW2_FINDING_REFCOUNT_UNREADABLE,
    QCOW2_FINDING_REFCOUNT_TOO_LOW,
    QCOW2_FINDING_LEAK,
    QCOW2_FINDING_L1_COPIED_WRONG,
    QCOW2_FINDING_L2_COPIED_WRONG,
    QCOW2_FINDING__MAX
} Qcow2FindingKind;

typedef struct Qcow2Finding {
    Qcow2FindingKind kind;
    uint64_t values[3];
    const char *texts[2];
} Qcow2Finding;

typedef struct Qcow2Report {
    FILE *messages; /* NULL: only count */
    uint64_t corruptions;
    uint64_t leaks;
    uint64_t check_errors;
    int failure; /* errno value of the first thing that could not be examined; 0 = none */
} Qcow2Report;

/* Counts @finding and writes its text. */
void qcow2_report(Qcow2Report *report, const Qcow2Finding *finding);

/* Notes that something could not be examined, with the reason @error (an errno value, positive). */
void qcow2_report_failure(Qcow2Report *report, int error);

#endif
