/*
 * The answer, while it is made: see ui/output/answer-text.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_OUTPUT_ANSWER_H
#define UI_OUTPUT_ANSWER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "ui/options/options.h"
#include "ui/output/causes.h"
#include "ui/output/rows.h"

#define PLACES_SHOWN 4u

#define KIND_BIT(kind) (UINT64_C(1) << QCOW2_FINDING_##kind)

typedef enum AnswerColour {
    ANSWER_RED = 31,
    ANSWER_GREEN = 32,
    ANSWER_AMBER = 33,
} AnswerColour;

typedef struct Answer {
    const CheckOptions *options;
    const ImageCheck *check;
    Causes causes;
    uint64_t kinds;                             /* of findings that are not repaired, a bit each */
    uint64_t count_by_kind[QCOW2_FINDING__MAX]; /* of those that are corruptions */
    char *name;                                 /* of the image, escaped */
    char *word;                                 /* the same for a command */
    char *undo_word;                            /* an undo file, for a command */
    Rows rows;
} Answer;

/* Returns true if there are findings of one of @kinds. */
bool answer_has(const Answer *a, uint64_t kinds);

/* Returns the end of what the file lacks; 0 if it lacks nothing. */
uint64_t answer_missing_end(const Answer *a);

/* Returns true if the file is shorter than its counts or tables say, and something is missing. */
bool answer_is_cut(const Answer *a);

/* Adds rows: what is missing from a file that is cut. */
void answer_add_missing(Answer *a);

/* Adds rows: data that the end of the file cuts off, counts behind it, shared data, bitmaps. */
void answer_add_notes(Answer *a);

/* Appends the first of @names, escaped. */
void answer_append_names(GString *text, const GPtrArray *names);

/* Appends "0x40000-0x4ffff (64.0 KiB)". */
void answer_append_range(GString *text, const Qcow2Allocation *range);

/* Returns "the header", "L2 tables" and so on; NULL for data. */
const char *answer_structure_name(ImageCheckStructure structure);

/* Returns "1 error" or "2 errors"; the caller frees it. */
char *answer_count(uint64_t n, const char *one, const char *several);

/* Says in a word what is the matter, such as "corrupt". */
const char *answer_headword(const Answer *a, AnswerColour *colour);

/* Appends what is the matter, and whether anything is lost. */
void answer_say_matter(const Answer *a, GString *text);

/* Prints the first line for a repair that was planned only, and leaves @outcome. */
void answer_print_plan(FILE *out, const Answer *a, const Answer *outcome, unsigned columns, bool colours);

/* Prints the first line: the name of the image, what is the matter, and whether anything is lost. */
void answer_print_headline(FILE *out, const Answer *a, unsigned columns, bool colours);

#endif
