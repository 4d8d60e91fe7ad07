/*
 * The use of the file's space as text: `check --space`.
 *
 * Nothing here fails: errors of the stream are left in its error flag for the caller.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_OUTPUT_SPACE_TEXT_H
#define UI_OUTPUT_SPACE_TEXT_H

#include <stdio.h>

#include "qapi/qapi-types.h"

/* Prints what fills the file, what deleting each snapshot would free, and in how many pieces the disk is stored. */
void print_space_text(FILE *out, const ImageCheckSpace *space);

#endif
