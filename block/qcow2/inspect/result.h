/*
 * The result of a check: its verdict, its notes and, where they are wanted, the list of findings and the viscera.
 *
 * All of it after qcow2_check_report(). Not thread safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_INSPECT_RESULT_H
#define BLOCK_QCOW2_INSPECT_RESULT_H

#include "block/qcow2/check/check.h"
#include "block/qcow2/inspect/unreadable.h"

/* The counts of the check; the caller frees them. */
ImageCheck *qcow2_check_verdict(const Qcow2Check *check);

/* Notes on the state of the image, NULL-terminated; the caller frees them. They are added to the findings, too. */
char **qcow2_check_notes(Qcow2Check *check, bool changed);

/* Moves the findings so far into @records, which stays NULL where none are wanted. Once. False: memory is short. */
bool qcow2_check_take_findings(Qcow2Check *check, Qcow2FindingRecords **records, GError **errp);

/*
 * Adds the viscera to @result, which has a verdict, or a message where they are refused for their number. @check has no
 * counts any more when this returns. False and @errp set when memory is short.
 */
bool qcow2_check_add_viscera(Qcow2Check *check, Qcow2CheckResult *result, GError **errp);

/*
 * Fills @result with verdict, notes, wanted viscera and, unless @finder is NULL, the judgement; @finder has seen the
 * tables. @check has no counts any more when this returns. False and @errp set when memory is short.
 */
bool qcow2_check_make_result(Qcow2Check *check, Qcow2UnreadableFinder *finder, Qcow2CheckResult *result, GError **errp);

#endif
