/*
 * Reading the options of a command from a table.
 *
 * Options are read as getopt_long() reads them: mixed with file names, short ones bundled, long ones shortened to a
 * unique prefix. Abbreviations that the stock tool of any version accepts keep its meaning, whatever options are added.
 * Not thread-safe: getopt_long() has global state.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_OPTIONS_READER_H
#define UI_OPTIONS_READER_H

#include "ui/options/option.h"

/*
 * Acts on @option, with @argument or NULL; @newer: its long name was used, and stock tools before 10.1 lack that.
 * Returns false to stop.
 */
typedef bool OptionTake(void *opaque, const Option *option, const char *argument, bool newer);

typedef enum OptionsRead {
    OPTIONS_READ,
    OPTIONS_HELP,    /* --help was given, before any mistake */
    OPTIONS_STOPPED, /* the callback returned false */
    OPTIONS_REFUSED, /* a mistake, which has been reported */
} OptionsRead;

/*
 * Reads the options among @argc words at @argv, the first of which is the command, and calls @take for each of them in
 * order. Sorts @argv: file names come last, and *@first is the index of the first of them.
 */
OptionsRead options_read(const OptionTable *table, int argc, char **argv, OptionTake *take, void *opaque, int *first);

/*
 * The same for a command of two file names, *@source and *@destination, which point into @argv. Options are stored in
 * @options, a struct that the rows of @table are for; @expecting is the error where there are other than two names.
 */
OptionsRead options_read_two_names(const OptionTable *table, int argc, char **argv, void *options,
                                   const char *expecting, const char **source, const char **destination);

#endif
