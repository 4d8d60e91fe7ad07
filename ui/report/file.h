/*
 * `qemu-img check --report`: writes the report of a check to a file or to standard output.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_REPORT_FILE_H
#define UI_REPORT_FILE_H

#include <glib.h>
#include <stdbool.h>

#include "block/qcow2.h"

typedef struct ReportFile ReportFile;

/*
 * Creates the file @path; "-" is standard output. Call it before the check: the sandbox (util/sandbox.h) opens nothing
 * later. Returns NULL and sets @errp, a complete message, on failure.
 */
ReportFile *report_file_new(const char *path, GError **errp);

/*
 * Returns the path at which report_file_write() renames a file; NULL if the report goes to standard output. The path
 * belongs to @report.
 */
const char *report_file_path(const ReportFile *report);

/*
 * Writes the report of @result, a check with the options that report_ask() set, and renames the file to its path.
 * Returns false, sets @errp and leaves no file on failure.
 */
bool report_file_write(ReportFile *report, const Qcow2CheckResult *result, GError **errp);

/* Frees @report, and removes a file that was not completed. */
void report_file_free(ReportFile *report);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ReportFile, report_file_free)

#endif
