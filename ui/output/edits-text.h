/*
 * The edits of a repair as text: `check -r all --dry-run`.
 *
 * Nothing here fails: errors of the stream are left in its error flag for the caller.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_OUTPUT_EDITS_TEXT_H
#define UI_OUTPUT_EDITS_TEXT_H

#include <stdio.h>

#include "qapi/qapi-types.h"

/* Prints the steps of a repair, and the places in the file that each of them changes. */
void print_edits_text(FILE *out, const ImageCheckEditList *edits);

#endif
