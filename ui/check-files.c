/*
 * The files that a check writes beside its verdict: see ui/check-files.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/check-files.h"

#include "util/error-report.h"

static void tell(CheckFiles *files, GError **error)
{
    if (*error) {
        error_report("%s", (*error)->message);
        g_clear_error(error);
        files->failed = true;
    }
}

bool check_files_prepare(CheckFiles *files, const CheckOptions *options, BlockSource *source)
{
    g_autoptr(GError) error = NULL;

    *files = (CheckFiles){0};
    if (options->map) {
        files->map = check_map_new(options, &error);
        tell(files, &error);
    }
    if (options->report) {
        files->report = check_report_new(options, &error);
        tell(files, &error);
    }
    if (options->undo_file && !options->dry_run) {
        files->undo = undo_file_create(options->undo_file, source, &error);
        files->undo_path = options->undo_file;
        tell(files, &error);
        return files->undo != NULL;
    }
    return true;
}

const char *const *check_files_paths(CheckFiles *files)
{
    unsigned n = 0;

    if (files->map) {
        files->paths[n++] = check_map_path(files->map);
    }
    if (files->report && check_report_path(files->report)) {
        files->paths[n++] = check_report_path(files->report);
    }
    if (files->undo) {
        files->paths[n++] = files->undo_path;
    }
    return n ? files->paths : NULL;
}

bool check_files_write(CheckFiles *files, const Qcow2CheckResult *result, uint64_t length)
{
    g_autoptr(GError) error = NULL;

    if (files->map) {
        check_map_write(files->map, result, length, &error);
        tell(files, &error);
    }
    if (files->report) {
        check_report_write(files->report, result, &error);
        tell(files, &error);
    }
    return !files->failed;
}

void check_files_clear(CheckFiles *files)
{
    g_clear_pointer(&files->map, check_map_free);
    g_clear_pointer(&files->report, check_report_free);
    g_clear_pointer(&files->undo, undo_file_free);
}
