/*
 * Checking several images: some at a time, each in a process of its own, results in the order of the names.
 *
 * A process for each, so that an image which brings down its check, or whose check is the stock tool's business,
 * is no special case: the others go on, and its output comes in its place. What a check prints is kept in memory
 * until all images before it are printed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_MANY_JOBS_H
#define UI_MANY_JOBS_H

#include "block/progress.h"
#include "ui/options/options.h"

/*
 * Checks one image in the calling process, and returns the exit status. Prints on stdout and stderr as a check of
 * that image alone does, but for JSON, which may be on one line. @progress lies in shared memory; @at_a_time is how
 * many images share the machine.
 */
typedef int CheckOne(void *context, const char *filename, unsigned at_a_time, CheckProgress *progress);

/*
 * Checks all images that @options name by @check, and returns the exit status of the program: that of the worst
 * image, in the order 1, 2, 3, 63, 0.
 */
int check_many(const CheckOptions *options, CheckOne *check, void *context);

#endif
