/*
 * Checks several images: some at a time, in processes of their own, with results in the order of the names.
 *
 * With other processes, the others go on if a check crashes or the stock tool takes it over: that is the failure of one
 * image, and those that its process had not begun are started again. The output of a check stays in memory until all
 * images before it are printed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_MANY_JOBS_H
#define UI_MANY_JOBS_H

#include "block/progress.h"
#include "ui/options/options.h"

/* What images have in common that are checked at a time, and whom a process tells what it has checked. */
typedef struct ManyProcess {
    CheckProgress *progress; /* lies in shared memory */
    unsigned at_a_time;      /* processes that share the machine */
    size_t first;            /* the image to begin with: its number */
    size_t number;           /* of images that may be checked, at least 1 */
    struct ManyShared *shared;
} ManyProcess;

/* The next image of @process was checked, and all that it printed belongs to it. */
void many_checked(ManyProcess *process, int status);

/*
 * Checks images in the calling process. Either the first of them alone: then this returns its exit status, or replaces
 * the process. Or several, the first of them first, with many_checked() after each: then this returns 0. Prints what a
 * check of the image alone prints, except that JSON may be on one line. @filenames are those of all.
 */
typedef int CheckSome(void *context, char *const *filenames, ManyProcess *process);

/*
 * Has @check called for all images that @options name, up to @together in one process, and returns the exit status of
 * the program: that of the worst image, in the order 1, 2, 3, 63, 0. With options->backing_chain 63 counts as 0 below
 * the first: a raw base is as it should be.
 */
int check_many(const CheckOptions *options, size_t together, CheckSome *check, void *context);

#endif
