/*
 * The output of one check among several: see ui/many/jobs.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_MANY_OUTPUT_H
#define UI_MANY_OUTPUT_H

#include <stdbool.h>

#include "ui/many/table.h"
#include "ui/options/options.h"

/* What a check wrote. The text belongs to the caller, and is not terminated; NULL if there is none. */
typedef struct CheckOutput {
    const char *result;
    size_t result_size; /* bytes */
    const char *messages;
    size_t message_size; /* bytes */
} CheckOutput;

/*
 * Prints the @output of a check of the image @filename, number @index of all, which ended with @status. @failure: the
 * reason why the check did not start or did not end by itself; NULL if it did. With @table it becomes a row there, and
 * only results that are asked for in detail are printed.
 */
void print_one_of_many(const CheckOptions *options, size_t index, const char *filename, const CheckOutput *output,
                       int status, const char *failure, ManyTable *table);

/* Returns true if results are shown above a table, as more of them is asked for than their meaning. */
bool many_shows_results(const CheckOptions *options);

#endif
