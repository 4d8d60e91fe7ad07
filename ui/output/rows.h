/*
 * The rows of the block that ends human output: a label and a text, in two columns.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_OUTPUT_ROWS_H
#define UI_OUTPUT_ROWS_H

#include <glib.h>
#include <stdio.h>

typedef struct Rows {
    GArray *items;    /* in the order in which they were added */
    unsigned columns; /* of the terminal */
} Rows;

void rows_init(Rows *rows, unsigned columns);
void rows_clear(Rows *rows);

/* Adds text that is wrapped; with @label NULL it takes both columns. It is UTF-8 without control characters. */
void rows_add(Rows *rows, const char *label, const char *format, ...) G_GNUC_PRINTF(3, 4);

/* Adds a command, which has a line for itself, so that it can be copied. */
void rows_add_command(Rows *rows, const char *label, const char *format, ...) G_GNUC_PRINTF(3, 4);

void rows_print(const Rows *rows, FILE *out);

#endif
