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

/* The name of the image wherever a rollback is run: an absolute path, or the name of an image on a server. */
static char *lasting_name(const CheckOptions *options, const ImageTarget *target)
{
    return target->open_remote ? g_strdup(options->filename) : g_canonicalize_filename(target->path, NULL);
}

static bool create_undo_file(CheckFiles *files, const CheckOptions *options, const ImageTarget *target,
                             BlockSource *source, GError **errp)
{
    g_autofree char *name = lasting_name(options, target);

    files->undo_path = options->undo_file;
    files->undo = undo_file_create(options->undo_file, source, errp);
    return files->undo && undo_file_name_image(files->undo, name, errp);
}

bool check_files_prepare(CheckFiles *files, const CheckOptions *options, const ImageTarget *target, BlockSource *source)
{
    g_autoptr(GError) error = NULL;

    *files = (CheckFiles){0};
    if (options->map) {
        files->map = map_file_new(options->map, options->map_curve, options->map_guest, &error);
        tell(files, &error);
    }
    if (options->report) {
        files->report = report_file_new(options->report, &error);
        tell(files, &error);
    }
    if (options->undo_file && !options->dry_run && !create_undo_file(files, options, target, source, &error)) {
        tell(files, &error);
        return false;
    }
    return true;
}

const char *const *check_files_paths(CheckFiles *files)
{
    unsigned n = 0;

    if (files->map) {
        files->paths[n++] = map_file_path(files->map);
    }
    if (files->report && report_file_path(files->report)) {
        files->paths[n++] = report_file_path(files->report);
    }
    if (files->undo) {
        files->paths[n++] = files->undo_path;
    }
    return n ? files->paths : NULL;
}

static gpointer write_map(gpointer opaque)
{
    CheckFiles *files = opaque;
    CheckFileJob *job = &files->map_job;

    map_file_write(files->map, job->result, job->length, &job->error);
    return NULL;
}

static gpointer write_report(gpointer opaque)
{
    CheckFiles *files = opaque;
    CheckFileJob *job = &files->report_job;

    report_file_write(files->report, job->result, &job->error);
    return NULL;
}

void check_files_start(CheckFiles *files, const Qcow2CheckResult *result, uint64_t length, bool threads)
{
    files->map_job = files->report_job = (CheckFileJob){.result = result, .length = length};
    if (files->map && threads) {
        files->map_job.thread = g_thread_try_new("map", write_map, files, NULL);
    }
    if (files->report && report_file_path(files->report) && threads) {
        files->report_job.thread = g_thread_try_new("report", write_report, files, NULL);
    }
}

static void finish_job(CheckFiles *files, CheckFileJob *job, GThreadFunc write)
{
    if (job->thread) {
        g_thread_join(g_steal_pointer(&job->thread));
    } else {
        write(files);
    }
    tell(files, &job->error);
}

bool check_files_finish(CheckFiles *files)
{
    if (files->map) {
        finish_job(files, &files->map_job, write_map);
    }
    if (files->report) {
        finish_job(files, &files->report_job, write_report);
    }
    return !files->failed;
}

void check_files_clear(CheckFiles *files)
{
    g_clear_pointer(&files->map, map_file_free);
    g_clear_pointer(&files->report, report_file_free);
    g_clear_pointer(&files->undo, undo_file_free);
}
