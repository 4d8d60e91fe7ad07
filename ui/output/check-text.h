/*
 * The result of a check as text: the verdict and the statistics, in the stock tool's words.
 *
 * Nothing here fails: errors of the stream are left in its error flag for the caller.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_OUTPUT_CHECK_TEXT_H
#define UI_OUTPUT_CHECK_TEXT_H

#include <stdio.h>

#include "qapi/qapi-types.h"

/* Prints the result @check to @out, then @notes, one a line; @notes ends with NULL. */
void print_check_text(FILE *out, const ImageCheck *check, char *const *notes);

#endif
