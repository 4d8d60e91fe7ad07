/*
 * The files that a check writes beside its verdict: the picture, the report, and the undo file of a repair.
 *
 * The verdict does not depend on picture and report: what is wrong with them is told at once, and the check goes on.
 * A repair does not begin without its undo file.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_CHECK_FILES_H
#define UI_CHECK_FILES_H

#include "block/undo/file.h"
#include "ui/map/file.h"
#include "ui/options/options.h"
#include "ui/report/file.h"

/* A file that is being written, by a thread of its own or without. */
typedef struct CheckFileJob {
    GThread *thread; /* NULL: it is written when it is waited for */
    const Qcow2CheckResult *result;
    uint64_t length; /* of the image, bytes */
    GError *error;
} CheckFileJob;

typedef struct CheckFiles {
    MapFile *map;       /* NULL: not asked for, or it failed */
    ReportFile *report; /* likewise */
    CheckFileJob map_job;
    CheckFileJob report_job;
    UndoFile *undo; /* NULL: not asked for */
    bool failed;    /* one that was asked for is not there */
    const char *undo_path;
    const char *paths[4];
} CheckFiles;

/*
 * Makes what @options ask for, before the check is locked in (util/sandbox.h); @source is the image. False where the
 * check must not go on, which is told.
 */
bool check_files_prepare(CheckFiles *files, const CheckOptions *options, BlockSource *source);

/* The files in whose folders something will be renamed, NULL behind the last; NULL where there are none. */
const char *const *check_files_paths(CheckFiles *files);

/*
 * Begins to write them, for the @result of an image of @length bytes: on other threads where @threads allows for it, so
 * that printing the result goes on meanwhile. Nobody may change the result until check_files_finish() has returned.
 */
void check_files_start(CheckFiles *files, const Qcow2CheckResult *result, uint64_t length, bool threads);

/*
 * Waits until they are written, and writes what is none of a thread's business: a report goes to standard output behind
 * everything else. False where one that was asked for is not there.
 */
bool check_files_finish(CheckFiles *files);

/* Files that were not written are gone. */
void check_files_clear(CheckFiles *files);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CheckFiles, check_files_clear)

#endif
