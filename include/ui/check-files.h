/*
 * The files that a check writes beside its verdict: the picture and the report.
 *
 * The verdict does not depend on them: what is wrong with a file is told at once, and the check goes on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_CHECK_FILES_H
#define UI_CHECK_FILES_H

#include "ui/check-map.h"
#include "ui/check-report.h"

typedef struct CheckFiles {
    CheckMap *map;      /* NULL: not asked for, or it failed */
    ReportFile *report; /* likewise */
    bool failed;        /* one that was asked for is not there */
    const char *paths[3];
} CheckFiles;

/* Makes what @options ask for, before the check is locked in (util/sandbox.h). */
void check_files_prepare(CheckFiles *files, const CheckOptions *options);

/* The files in whose folders something will be renamed, NULL behind the last; NULL where there are none. */
const char *const *check_files_paths(CheckFiles *files);

/* Writes them, for the @result of an image of @length bytes. False where one that was asked for is not there. */
bool check_files_write(CheckFiles *files, const Qcow2CheckResult *result, uint64_t length);

/* Files that were not written are gone. */
void check_files_clear(CheckFiles *files);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CheckFiles, check_files_clear)

#endif
