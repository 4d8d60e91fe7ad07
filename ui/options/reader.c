/*
 * Reading the options of a command: see ui/options/reader.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/options/reader.h"

#include <getopt.h>
#include <glib.h>
#include <string.h>

#include "util/error-report.h"

/* getopt_long() returns this and the index of the row for each option. */
#define FIRST_ROW 256

static int has_argument(const Option *option)
{
    return option->argument ? required_argument : no_argument;
}

/* The colon in front lets getopt_long() distinguish a missing argument from an unknown option, and print nothing. */
static char *short_options(const OptionTable *table)
{
    GString *letters = g_string_new(":");

    for (size_t i = 0; i < table->n; i++) {
        if (table->rows[i].letter) {
            g_string_append_c(letters, table->rows[i].letter);
            g_string_append(letters, table->rows[i].argument ? ":" : "");
        }
    }
    return g_string_free(letters, FALSE);
}

static void add_long_option(GArray *list, const OptionTable *table, size_t row, const char *name)
{
    struct option option = {.name = name, .has_arg = has_argument(&table->rows[row]), .val = FIRST_ROW + (int)row};

    g_array_append_val(list, option);
}

/* The long options, with an end of zeros. */
static GArray *long_options(const OptionTable *table)
{
    GArray *list = g_array_new(TRUE, TRUE, sizeof(struct option));

    for (size_t i = 0; i < table->n; i++) {
        if (table->rows[i].name) {
            add_long_option(list, table, i, table->rows[i].name);
        }
    }
    return list;
}

static const Option *find_letter(const OptionTable *table, int letter)
{
    for (size_t i = 0; i < table->n; i++) {
        if (table->rows[i].letter == letter) {
            return &table->rows[i];
        }
    }
    return NULL;
}

/* @value is what getopt_long() returned; @word the word as typed. */
static OptionsRead take_option(const OptionTable *table, int value, const char *word, OptionTake *take, void *opaque)
{
    bool is_long = value >= FIRST_ROW;
    const Option *option = is_long ? &table->rows[value - FIRST_ROW] : find_letter(table, value);

    if (value == ':') {
        error_report_usage("missing argument for option '%s'", word);
        return OPTIONS_REFUSED;
    }
    if (!option) {
        error_report_usage("unrecognized option '%s'", word);
        return OPTIONS_REFUSED;
    }
    if (option->letter == 'h') {
        return OPTIONS_HELP;
    }
    return take(opaque, option, optarg) ? OPTIONS_READ : OPTIONS_STOPPED;
}

OptionsRead options_read(const OptionTable *table, int argc, char **argv, OptionTake *take, void *opaque, int *first)
{
    g_autofree char *letters = short_options(table);
    g_autoptr(GArray) list = long_options(table);
    OptionsRead read = OPTIONS_READ;
    int value;

    optind = 0; /* 0, not 1: glibc starts afresh, as main() has used it before */
    while (read == OPTIONS_READ &&
           (value = getopt_long(argc, argv, letters, (const struct option *)(void *)list->data, NULL)) != -1) {
        read = take_option(table, value, argv[optind - 1], take, opaque);
    }
    *first = optind;
    return read;
}
