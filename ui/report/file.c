/*
 * `qemu-img check --report`: see ui/report/file.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/report/file.h"

#include <errno.h>

#include "block/source.h"
#include "ui/report/write.h"
#include "util/output-file.h"

struct ReportFile {
    OutputFile *file; /* NULL: standard output */
};

ReportFile *report_file_new(const char *path, GError **errp)
{
    bool to_stdout = g_str_equal(path, "-");
    OutputFile *file = to_stdout ? NULL : output_file_new(path, REPORT_SIGNATURE, errp);
    ReportFile *report = NULL;

    if (file || to_stdout) {
        report = g_new(ReportFile, 1);
        *report = (ReportFile){.file = file};
    }
    return report;
}

const char *report_file_path(const ReportFile *report)
{
    return report->file ? output_file_path(report->file) : NULL;
}

static bool finish_stdout(GError **errp)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) {
        return true;
    }
    g_set_error(errp, BLOCK_ERROR, errno ? errno : EIO, "Could not write the report: %s",
                errno ? g_strerror(errno) : "output failed");
    return false;
}

bool report_file_write(ReportFile *report, const Qcow2CheckResult *result, GError **errp)
{
    FILE *out = report->file ? output_file_stream(report->file) : stdout;

    if (!report_write(out, result, g_get_real_time() / G_USEC_PER_SEC, errp)) {
        return false;
    }
    return report->file ? output_file_commit(report->file, errp) : finish_stdout(errp);
}

void report_file_free(ReportFile *report)
{
    g_clear_pointer(&report->file, output_file_free);
    g_free(report);
}
