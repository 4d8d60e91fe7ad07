/*
 * The answer to `check --explain` as text.
 *
 * Nothing here fails: errors of the stream are left in its error flag for the caller.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_OUTPUT_EXPLANATION_TEXT_H
#define UI_OUTPUT_EXPLANATION_TEXT_H

#include <stdio.h>

#include "qapi/qapi-types.h"

/* Prints what lies at an offset of the file, or the way to it from an offset of the guest's disk. */
void print_explanation_text(FILE *out, const ImageCheckExplanation *explanation);

#endif
