/*
 * A report takes findings in the stock tool's order, counts them, prints their texts and collects them.
 *
 * It may have a limit of messages: findings behind that are only counted. Tables that overlap can make a small file
 * claim any number of faults, so a caller that has many to report asks qcow2_report_full(), and then counts them at
 * once rather than one by one. The numbers are the same either way.
 *
 * A report is a plain value: {0} is an empty one, and there is nothing to free. Not thread safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_FINDINGS_REPORT_H
#define BLOCK_QCOW2_FINDINGS_REPORT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "block/qcow2/findings/kinds.h"

struct Qcow2Collector;

typedef struct Qcow2Report {
    FILE *messages;                   /* NULL: none wanted */
    struct Qcow2Collector *collector; /* NULL: no list wanted; borrowed */
    uint64_t max_messages;            /* 0: no limit */
    uint64_t written;                 /* messages so far */
    uint64_t examined; /* faults, and references that were examined one by one and had nothing to report */
    uint64_t left_out[QCOW2_FINDING__MAX]; /* findings without a message */
    uint64_t corruptions;
    uint64_t leaks;
    uint64_t check_errors;
    uint64_t count_by_kind[QCOW2_FINDING__MAX]; /* how many of each kind */
    uint64_t repairing;                         /* bit of a kind set: its messages say that it is being repaired */
    bool no_advice;                             /* the command is "check -r all": messages do not advise it */
    uint64_t stored_end; /* cluster behind the last with a stored count; once counts are compared */
    uint64_t dangerous;  /* COPIED flags of shared clusters, and counts too low for several users */
    int failure;         /* errno value of the first thing that could not be examined; 0 = none */
} Qcow2Report;

/* Counts @finding, writes its text, and collects it; a full report only counts it. */
void qcow2_report(Qcow2Report *report, const Qcow2Finding *finding);

/*
 * The same for findings of @n clusters in a row, of which @first is the first: see qcow2_finding_write_clusters(). Only
 * those clusters tell them apart, as their location does.
 */
void qcow2_report_clusters(Qcow2Report *report, const Qcow2Finding *first, uint64_t n);

/*
 * Returns true if findings are only counted from now on: all wanted messages are printed and no list is wanted, or
 * there were LIMIT_EXAMINED_PER_MESSAGE references examined for each message. Stays true.
 */
bool qcow2_report_full(const Qcow2Report *report);

/* Counts @n findings of @kind, and nothing else. */
void qcow2_count_unreported(Qcow2Report *report, ImageCheckFindingKind kind, uint64_t n);

/* Writes a line with the number of messages that were left out, if there are any. */
void qcow2_report_summary(const Qcow2Report *report);

/* Counts @n corruptions that a repair of @finding sets right by giving something up, and writes the message. */
void qcow2_report_discarded(Qcow2Report *report, const Qcow2Finding *finding, uint64_t n, const char *format, ...)
    G_GNUC_PRINTF(4, 5);

/* Notes that something could not be examined, with the reason @error (an errno value, positive). */
void qcow2_report_failure(Qcow2Report *report, int error);

#endif
