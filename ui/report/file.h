/*
 * `qemu-img check --report`: puts the report of a check where the user wants it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_REPORT_FILE_H
#define UI_REPORT_FILE_H

#include <glib.h>
#include <stdbool.h>

#include "block/qcow2.h"
#include "ui/options/options.h"

typedef struct ReportFile ReportFile;

/*
 * Prepares the report that @options ask for, before the check: a file is made here, as nothing can be opened later
 * (util/sandbox.h). NULL and @errp set, with a message that says all, when it cannot be made.
 */
ReportFile *check_report_new(const CheckOptions *options, GError **errp);

/* The file in whose folder something will be renamed; NULL where the report goes to standard output. */
const char *check_report_path(const ReportFile *report);

/*
 * Writes the report of @result, which has what report_ask() asked for, and puts the file at its place. False and @errp
 * set, as above, and no file, when that fails.
 */
bool check_report_write(ReportFile *report, const Qcow2CheckResult *result, GError **errp);

/* A report that was not written is gone. */
void check_report_free(ReportFile *report);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ReportFile, check_report_free)

#endif
