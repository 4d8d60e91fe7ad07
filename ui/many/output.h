/*
 * The output of one check among several: see ui/many/jobs.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_MANY_OUTPUT_H
#define UI_MANY_OUTPUT_H

#include <stdbool.h>

#include "ui/many/captured-process.h"
#include "ui/options/options.h"

/*
 * Prints what the check of the image @filename, with the exit status @status, had to say. @failure is why there
 * was no check, or why it has no end; NULL where it ended of itself. @first: no image was printed before.
 */
void print_one_of_many(const CheckOptions *options, const char *filename, const CapturedProcess *process, int status,
                       const char *failure, bool first);

#endif
