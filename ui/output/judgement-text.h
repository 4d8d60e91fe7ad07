/*
 * The judgement on an image in words: one line.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_OUTPUT_JUDGEMENT_TEXT_H
#define UI_OUTPUT_JUDGEMENT_TEXT_H

#include <stdbool.h>
#include <stdio.h>

#include "qapi/qapi-types.h"

/*
 * Prints the judgement of @check to @out, if there is one. That an image is sound is not printed: the stock tool's line
 * says so, and programs compare it.
 */
void print_judgement_text(FILE *out, const ImageCheck *check);

/* What @judgement means, in a clause; NULL for data that is lost. */
const char *judgement_meaning(ImageCheckJudgement judgement);

#endif
