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

#include "block/undo-file.h"
#include "ui/check-map.h"
#include "ui/check-report.h"

typedef struct CheckFiles {
    CheckMap *map;      /* NULL: not asked for, or it failed */
    ReportFile *report; /* likewise */
    UndoFile *undo;     /* NULL: not asked for */
    bool failed;        /* one that was asked for is not there */
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

/* Writes them, for the @result of an image of @length bytes. False where one that was asked for is not there. */
bool check_files_write(CheckFiles *files, const Qcow2CheckResult *result, uint64_t length);

/* Files that were not written are gone. */
void check_files_clear(CheckFiles *files);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CheckFiles, check_files_clear)

#endif
