/*
 * The answer: the block that ends human output on a terminal.
 *
 * Its first line says what is the matter with the image, and whether anything is lost; the next ones say where, what to
 * do and what not to do. In a pipe or a file a line of judgement stands for it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_OUTPUT_ANSWER_TEXT_H
#define UI_OUTPUT_ANSWER_TEXT_H

#include <stdbool.h>
#include <stdio.h>

#include "block/qcow2-check.h"
#include "ui/options/options.h"

/*
 * Prints the answer to @out, a terminal of so many @columns. @result has findings and a judgement. Errors of the stream
 * are left in its error flag.
 */
void print_answer_text(FILE *out, const CheckOptions *options, const Qcow2CheckResult *result, unsigned columns,
                       bool colours);

#define ANSWER_ROW_MARK     '\0' /* in front of a row: no text has it */
#define ANSWER_WORD_COLUMNS 12

/* Prints the answer as a row for a table of several images: ANSWER_ROW_MARK, a word, a tab, and the rest. */
void print_answer_row(FILE *out, const CheckOptions *options, const Qcow2CheckResult *result);

#endif
