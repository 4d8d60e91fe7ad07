/*
 * `qemu-img check --report`: see ui/check-report.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/check-report.h"

#include <errno.h>

#include "block/source.h"
#include "ui/report.h"
#include "util/output-file.h"

static bool write_to_stdout(const Qcow2CheckResult *result, int64_t now, GError **errp)
{
    report_write(stdout, result, now);
    errno = 0;
    if (fflush(stdout) != 0 || ferror(stdout)) {
        g_set_error(errp, BLOCK_ERROR, errno ? errno : EIO, "Could not write the report: %s",
                    errno ? g_strerror(errno) : "output failed");
        return false;
    }
    return true;
}

bool check_report_write(const CheckOptions *options, const Qcow2CheckResult *result, GError **errp)
{
    int64_t now = g_get_real_time() / G_USEC_PER_SEC;
    g_autoptr(OutputFile) file = NULL;

    if (g_str_equal(options->report, "-")) {
        return write_to_stdout(result, now, errp);
    }
    file = output_file_new(options->report, REPORT_SIGNATURE, errp);
    if (!file) {
        return false;
    }
    report_write(output_file_stream(file), result, now);
    return output_file_commit(file, errp);
}
