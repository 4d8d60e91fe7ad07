/*
 * The output of one check among several: see ui/many/jobs.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_MANY_OUTPUT_H
#define UI_MANY_OUTPUT_H

#include <stdbool.h>

#include "ui/many/captured-process.h"
#include "ui/many/table.h"
#include "ui/options/options.h"

/*
 * Prints the output of the check @process of the image @filename, number @index of all, which ended with @status.
 * @failure: the reason why the check did not start or did not end by itself; NULL if it did. With @table it becomes a
 * row there, and only results that are asked for in detail are printed. Returns @status, or 1 if the output cannot be
 * read.
 */
int print_one_of_many(const CheckOptions *options, size_t index, const char *filename, const CapturedProcess *process,
                      int status, const char *failure, ManyTable *table);

/* Returns true if results are shown above a table, as more of them is asked for than their meaning. */
bool many_shows_results(const CheckOptions *options);

#endif
