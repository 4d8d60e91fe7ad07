/*
 * The results of several images as a table: see ui/many/table.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/many/table.h"

#include <inttypes.h>
#include <string.h>

#include "ui/output/answer-text.h"
#include "ui/output/wrap.h"
#include "util/text.h"

#define NAME_COLUMNS 32u /* a longer name makes its row longer */
#define LEAST_TEXT   24u /* columns */

/* The words of a row, the worst first, as the exit status does not say what is lost. */
static const struct {
    const char *word;
    int colour; /* of the terminal */
} words[] = {
    {"data lost", 31}, {"truncated", 31},   {"corrupt", 31},  {"data at risk", 31}, {"unknown", 31},
    {"leaks", 33},     {"bookkeeping", 33}, {"no check", 33}, {"clean", 32},
};

#define CLEAN (G_N_ELEMENTS(words) - 1)

typedef struct TableRow {
    size_t word; /* of words[] */
    char *name;  /* escaped */
    char *text;  /* escaped; may be empty */
} TableRow;

struct ManyTable {
    GArray *rows;
};

static void clear_row(gpointer opaque)
{
    TableRow *row = opaque;

    g_free(row->name);
    g_free(row->text);
}

ManyTable *many_table_new(void)
{
    ManyTable *t = g_new0(ManyTable, 1);

    t->rows = g_array_new(FALSE, FALSE, sizeof(TableRow));
    g_array_set_clear_func(t->rows, clear_row);
    return t;
}

void many_table_free(ManyTable *t)
{
    if (t) {
        g_array_unref(t->rows);
        g_free(t);
    }
}

static size_t find_word(const char *word)
{
    size_t i = 0;

    while (i < CLEAN && !g_str_equal(words[i].word, word)) {
        i++;
    }
    return i;
}

/* By the exit status alone. */
static const char *word_of_status(int status)
{
    switch (status) {
    case 0:
        return "clean";
    case 2:
        return "corrupt";
    case 3:
        return "leaks";
    case 63:
        return "no check";
    default:
        return "unknown";
    }
}

void many_table_add(ManyTable *t, const char *filename, int status, const char *result, size_t *size,
                    const char *message)
{
    const char *mark = *size ? memrchr(result, ANSWER_ROW_MARK, *size) : NULL;
    g_autofree char *line = mark ? g_strndup(mark + 1, *size - (size_t)(mark + 1 - result)) : NULL;
    char *text = line ? strchr(line, '\t') : NULL;
    TableRow row = {.name = text_escape(filename, strlen(filename))};

    if (mark) {
        *size = (size_t)(mark - result);
    }
    if (text) {
        *text = '\0';
    }
    if (text && ((status != 1 && status != 63) || g_str_equal(line, "unknown"))) {
        row.word = find_word(line);
        row.text = g_strdup(text + 1);
    } else {
        row.word = find_word(word_of_status(status));
        row.text = text_escape(message, strcspn(message, "\n"));
    }
    g_array_append_val(t->rows, row);
    /* cppcheck-suppress memleak ; the row is the array's */
}

/* ---- */

static void print_word(FILE *out, size_t word, bool colours)
{
    if (colours) {
        fprintf(out, "\033[1;%dm%-*s\033[0m  ", words[word].colour, ANSWER_WORD_COLUMNS, words[word].word);
    } else {
        fprintf(out, "%-*s  ", ANSWER_WORD_COLUMNS, words[word].word);
    }
}

static void print_row(FILE *out, const TableRow *row, size_t name_columns, unsigned columns, bool colours)
{
    size_t width = (size_t)g_utf8_strlen(row->name, -1), indent = ANSWER_WORD_COLUMNS + 2 + name_columns + 2;
    size_t pad = width < name_columns ? name_columns - width : 0;

    print_word(out, row->word, colours);
    fprintf(out, "%s%*s", row->name, *row->text ? (int)(pad + 2) : 0, "");
    print_wrapped(out, row->text, indent + (width > name_columns ? width - name_columns : 0), indent,
                  MAX(columns, indent + LEAST_TEXT));
}

/* Those that are clean, with nothing to say of each, stand in lines together. */
static void print_clean(const ManyTable *t, FILE *out, unsigned columns, bool colours)
{
    size_t column = 0;

    for (guint i = 0; i < t->rows->len; i++) {
        const TableRow *row = &g_array_index(t->rows, TableRow, i);
        size_t width = (size_t)g_utf8_strlen(row->name, -1);

        if (row->word != CLEAN) {
            continue;
        }
        if (column && column + 2 + width <= columns) {
            fputs("  ", out);
            column += 2;
        } else {
            if (column) {
                fprintf(out, "\n%*s", ANSWER_WORD_COLUMNS + 2, "");
            } else {
                print_word(out, CLEAN, colours);
            }
            column = ANSWER_WORD_COLUMNS + 2;
        }
        fputs(row->name, out);
        column += width;
    }
    if (column) {
        fputc('\n', out);
    }
}

static void print_sum(const ManyTable *t, FILE *out, unsigned columns, int status)
{
    unsigned counts[G_N_ELEMENTS(words)] = {0};
    const char *separator = ": ";
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; i < t->rows->len; i++) {
        counts[g_array_index(t->rows, TableRow, i).word]++;
    }
    g_string_printf(text, "%u image%s", t->rows->len, t->rows->len == 1 ? "" : "s");
    for (size_t i = G_N_ELEMENTS(words); i-- > 0;) {
        if (counts[i]) {
            g_string_append_printf(text, "%s%u %s", separator, counts[i], words[i].word);
            separator = ", ";
        }
    }
    g_string_append_printf(text, "; exit status %d", status);
    print_wrapped(out, text->str, 0, 2, columns);
}

void many_table_print(const ManyTable *t, FILE *out, unsigned columns, bool colours, int status)
{
    size_t name_columns = 0;

    for (guint i = 0; i < t->rows->len; i++) {
        const TableRow *row = &g_array_index(t->rows, TableRow, i);

        if (row->word != CLEAN) {
            name_columns = MAX(name_columns, (size_t)g_utf8_strlen(row->name, -1));
        }
    }
    name_columns = MIN(name_columns, NAME_COLUMNS);
    for (size_t word = 0; word < CLEAN; word++) {
        for (guint i = 0; i < t->rows->len; i++) {
            const TableRow *row = &g_array_index(t->rows, TableRow, i);

            if (row->word == word) {
                print_row(out, row, name_columns, columns, colours);
            }
        }
    }
    print_clean(t, out, columns, colours);
    print_sum(t, out, columns, status);
}
