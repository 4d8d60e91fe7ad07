/*
 * The command line of `qemu-img check`.
 *
 * The texts of errors, and which of several errors is reported, are the stock tool's, as of 7.2.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_OPTIONS_PARSE_H
#define UI_OPTIONS_PARSE_H

#include "ui/options/options.h"

typedef enum CheckParsed {
    CHECK_PARSED_RUN,     /* go ahead */
    CHECK_PARSED_HELP,    /* the user asked for help */
    CHECK_PARSED_REFUSED, /* a mistake in the command line, which has been reported */
} CheckParsed;

/*
 * Reads @argv, whose first word is "check", into @options, which come from check_options_new(). Stops at a foreign
 * object: nothing after it is read then, and the file name may be missing.
 */
CheckParsed check_options_parse(int argc, char **argv, CheckOptions *options);

void check_options_print_help(void);

#endif
