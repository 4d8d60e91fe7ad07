/*
 * Checks several images: some at a time, each in a process of its own, with results in the order of the names.
 *
 * With a process for each, the others go on if a check crashes or the stock tool takes it over. The output of a check
 * stays in memory until all images before it are printed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_MANY_JOBS_H
#define UI_MANY_JOBS_H

#include "block/progress.h"
#include "ui/options/options.h"

/*
 * Checks one image, number @index of all, in the calling process, and returns the exit status. Prints what a check of
 * that image alone prints, except that JSON may be on one line. @progress lies in shared memory; @at_a_time images
 * share the machine.
 */
typedef int CheckOne(void *context, size_t index, const char *filename, unsigned at_a_time, CheckProgress *progress);

/*
 * Calls @check for each image that @options name, and returns the exit status of the program: that of the worst image,
 * in the order 1, 2, 3, 63, 0. With options->backing_chain 63 counts as 0 below the first: a raw base is as it should
 * be.
 */
int check_many(const CheckOptions *options, CheckOne *check, void *context);

#endif
