/*
 * Diagnostics: notes on suspicious states that a check alone cannot call wrong, for people who search for lost data.
 * They are findings that count nothing.
 *
 * The search reads what is leaked (qcow2/inspect/evidence.h), and is bounded in the queries to the file system.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_INSPECT_DIAGNOSTICS_H
#define BLOCK_QCOW2_INSPECT_DIAGNOSTICS_H

#include "block/qcow2/check/check.h"
#include "block/qcow2/inspect/unreadable.h"

typedef struct Qcow2Diagnostics Qcow2Diagnostics;

/* For a check of @image, before it begins. @image is borrowed. */
Qcow2Diagnostics *qcow2_diagnostics_new(const Qcow2Image *image);
void qcow2_diagnostics_free(Qcow2Diagnostics *diagnostics);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Qcow2Diagnostics, qcow2_diagnostics_free)

/* The visitor for qcow2_check_count(). */
const Qcow2TableVisitor *qcow2_diagnostics_visitor(const Qcow2Diagnostics *diagnostics);

/*
 * Adds the diagnostics to the findings that @check has collected, unless @diagnostics is NULL, and the judgement to
 * @result, if the options ask for it. @changed: the image was written to meanwhile. After qcow2_check_report(). False
 * and @errp set if memory is short.
 */
bool qcow2_add_diagnostics(Qcow2Diagnostics *diagnostics, Qcow2UnreadableFinder *finder, Qcow2Check *check,
                           bool changed, ImageCheck *result, GError **errp);

#endif
