/*
 * Properties of the terminal that output goes to.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_OUTPUT_TERMINAL_H
#define UI_OUTPUT_TERMINAL_H

#include <stdbool.h>

/* Returns the width of the terminal @fd in columns, at least 1; COLUMNS in the environment overrides it. 80 if unknown.
 */
unsigned terminal_columns(int fd);

/* Returns true if @fd is a terminal with colours, and the user has not declined them by NO_COLOR or TERM=dumb. */
bool terminal_has_colours(int fd);

#endif
