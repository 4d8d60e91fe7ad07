/*
 * Reading the options of a command: see ui/options/reader.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/options/reader.h"

#include <getopt.h>
#include <glib.h>
#include <string.h>

#include "ui/options/nearest.h"
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

/* Whether @name, cut to @length bytes, stands for one option of the stock tool's. */
static bool is_stock_abbreviation(const OptionTable *table, const char *name, size_t length)
{
    unsigned n = 0;

    for (size_t i = 0; i < table->n; i++) {
        const Option *option = &table->rows[i];

        n += option->class == OPTION_STOCK && option->name && strncmp(option->name, name, length) == 0;
    }
    return n == 1;
}

static void add_long_option(GArray *list, const OptionTable *table, size_t row, const char *name)
{
    struct option option = {.name = name, .has_arg = has_argument(&table->rows[row]), .val = FIRST_ROW + (int)row};

    g_array_append_val(list, option);
}

/*
 * The long options, with an end of zeros. Each abbreviation of the stock tool is an option of its own, as a whole name
 * comes before any prefix. @names keeps the strings.
 */
static GArray *long_options(const OptionTable *table, GStringChunk *names)
{
    GArray *list = g_array_new(TRUE, TRUE, sizeof(struct option));

    for (size_t i = 0; i < table->n; i++) {
        const Option *option = &table->rows[i];

        if (!option->name) {
            continue;
        }
        add_long_option(list, table, i, option->name);
        for (size_t length = 1; option->class == OPTION_STOCK && option->name[length]; length++) {
            if (is_stock_abbreviation(table, option->name, length)) {
                add_long_option(list, table, i, g_string_chunk_insert_len(names, option->name, (gssize)length));
            }
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

static void report_unknown(const OptionTable *table, const char *word)
{
    g_autofree char *advice = option_advice(table, word);

    error_report_usage("unrecognized option '%s'%s%s", word, advice ? "\n" : "", advice ? advice : "");
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
        report_unknown(table, word);
        return OPTIONS_REFUSED;
    }
    if (option->letter == 'h') {
        return OPTIONS_HELP;
    }
    return take(opaque, option, optarg, is_long && option->newer_name) ? OPTIONS_READ : OPTIONS_STOPPED;
}

OptionsRead options_read(const OptionTable *table, int argc, char **argv, OptionTake *take, void *opaque, int *first)
{
    g_autofree char *letters = short_options(table);
    g_autoptr(GStringChunk) names = g_string_chunk_new(256);
    g_autoptr(GArray) list = long_options(table, names);
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

static bool store(void *options, const Option *option, const char *argument, bool newer)
{
    option_store(option, options, argument);
    return true;
}

OptionsRead options_read_two_names(const OptionTable *table, int argc, char **argv, void *options,
                                   const char *expecting, const char **source, const char **destination)
{
    int first;
    OptionsRead read = options_read(table, argc, argv, store, options, &first);

    if (read == OPTIONS_READ && argc - first != 2) {
        error_report_usage("%s", expecting);
        return OPTIONS_REFUSED;
    }
    if (read == OPTIONS_READ) {
        *source = argv[first];
        *destination = argv[first + 1];
    }
    return read;
}
