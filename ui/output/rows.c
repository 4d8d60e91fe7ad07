/*
 * The rows of the block that ends human output: see ui/output/rows.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/output/rows.h"

#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include "ui/output/wrap.h"

#define INDENT        2u
#define LEAST_LABEL   8u
#define LEAST_COLUMNS 20u /* of the text: on a narrower terminal lines break by themselves */

typedef struct Row {
    const char *label; /* or NULL */
    char *text;
    bool whole; /* is not wrapped */
} Row;

static void clear_row(gpointer row)
{
    g_free(((Row *)row)->text);
}

void rows_init(Rows *rows, unsigned columns)
{
    *rows = (Rows){.items = g_array_new(FALSE, FALSE, sizeof(Row)), .columns = columns};
    g_array_set_clear_func(rows->items, clear_row);
}

void rows_clear(Rows *rows)
{
    g_clear_pointer(&rows->items, g_array_unref);
}

static void add(Rows *rows, const char *label, bool whole, const char *format, va_list ap) G_GNUC_PRINTF(4, 0);

static void add(Rows *rows, const char *label, bool whole, const char *format, va_list ap)
{
    Row row = {.label = label, .text = g_strdup_vprintf(format, ap), .whole = whole};

    g_array_append_val(rows->items, row);
}

void rows_add(Rows *rows, const char *label, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    add(rows, label, false, format, ap);
    va_end(ap);
}

void rows_add_command(Rows *rows, const char *label, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    add(rows, label, true, format, ap);
    va_end(ap);
}

void rows_print(const Rows *rows, FILE *out)
{
    size_t label_columns = LEAST_LABEL;

    for (guint i = 0; i < rows->items->len; i++) {
        const Row *row = &g_array_index(rows->items, Row, i);

        label_columns = MAX(label_columns, row->label ? strlen(row->label) : 0);
    }
    label_columns += INDENT + 2;
    for (guint i = 0; i < rows->items->len; i++) {
        const Row *row = &g_array_index(rows->items, Row, i);
        size_t indent = row->label ? label_columns : INDENT;

        fprintf(out, "%*s%-*s", (int)INDENT, "", row->label ? (int)(label_columns - INDENT) : 0,
                row->label ? row->label : "");
        if (row->whole) {
            fprintf(out, "%s\n", row->text);
        } else {
            print_wrapped(out, row->text, indent, indent, MAX(rows->columns, indent + LEAST_COLUMNS));
        }
    }
}
