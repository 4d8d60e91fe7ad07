/*
 * The files that a check writes beside its verdict: the picture, the report, and the undo file of a repair.
 *
 * The check goes on without its picture or report if they cannot be written, and reports that. A repair does not begin
 * without its undo file.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_CHECK_FILES_H
#define UI_CHECK_FILES_H

#include "block/undo/file.h"
#include "ui/image/target.h"
#include "ui/map/file.h"
#include "ui/options/options.h"
#include "ui/report/file.h"

/* The writing of a file, on a thread of its own or in check_files_finish(). */
typedef struct CheckFileJob {
    GThread *thread; /* NULL: check_files_finish() writes it */
    const Qcow2CheckResult *result;
    uint64_t length; /* of the image, bytes */
    GError *error;
} CheckFileJob;

typedef struct CheckFiles {
    MapFile *map;       /* NULL: not wanted, or it failed */
    ReportFile *report; /* NULL: not wanted, or it failed */
    CheckFileJob map_job;
    CheckFileJob report_job;
    UndoFile *undo; /* NULL: not wanted */
    bool failed;    /* a wanted file could not be written */
    const char *undo_path;
    const char *paths[4];
} CheckFiles;

/*
 * Creates the files that @options ask for; @source is the image at @target. Call it before sandbox_enter(). Returns
 * false, having reported why, if the check must not go on. The caller clears @files in any case.
 */
bool check_files_prepare(CheckFiles *files, const CheckOptions *options, const ImageTarget *target,
                         BlockSource *source);

/*
 * Returns the paths at which files will be renamed, with NULL at the end; NULL if there are none. They belong to
 * @files.
 */
const char *const *check_files_paths(CheckFiles *files);

/*
 * Begins to write the files of an image of @length bytes; with @threads on threads of their own, while the caller
 * prints the result. @result must not change until check_files_finish() has returned.
 */
void check_files_start(CheckFiles *files, const Qcow2CheckResult *result, uint64_t length, bool threads);

/*
 * Waits for the threads, and writes the remaining files: a report on standard output comes after everything else.
 * Returns false, having reported why, if a wanted file could not be written.
 */
bool check_files_finish(CheckFiles *files);

/* Frees all, and removes files that were not completed. */
void check_files_clear(CheckFiles *files);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CheckFiles, check_files_clear)

#endif
