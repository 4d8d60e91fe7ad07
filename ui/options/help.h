/*
 * The help of a command, from its table of options.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_OPTIONS_HELP_H
#define UI_OPTIONS_HELP_H

#include "ui/options/option.h"

/* Prints the help of the command to stdout, in lines of less than 80 columns. */
void options_print_help(const OptionTable *table);

#endif
