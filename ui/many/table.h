/*
 * The results of several images as a table: the worst first, then a sum.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_MANY_TABLE_H
#define UI_MANY_TABLE_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

typedef struct ManyTable ManyTable;

ManyTable *many_table_new(void);
void many_table_free(ManyTable *table); /* NULL is allowed */

/*
 * Takes the row, of *@size bytes, off the end of what a check wrote (check_result_print()), and shortens *@size. Where
 * there is none, as of another program or after a failure, the exit status @status makes it, and the first line of
 * @message.
 */
void many_table_add(ManyTable *table, const char *filename, int status, const char *result, size_t *size,
                    const char *message);

/* Prints the table to @out, a terminal of so many @columns. @status is the exit status of all. */
void many_table_print(const ManyTable *table, FILE *out, unsigned columns, bool colours, int status);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ManyTable, many_table_free)

#endif
