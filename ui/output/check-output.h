/*
 * What a check prints on stdout, for people and for programs.
 *
 * Nothing here fails: whoever called looks at the error flag of the file at the end.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_OUTPUT_CHECK_OUTPUT_H
#define UI_OUTPUT_CHECK_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>

#include "qapi/qapi-types.h"

/* The verdict and the statistics in the stock tool's words, then @notes, one a line. */
void print_check_text(FILE *out, const ImageCheck *check, char *const *notes);

/*
 * The tree of the metadata: offset, size, and what is there. Long lists are folded to their number and extent
 * unless @unfolded.
 */
void print_viscera_text(FILE *out, const Qcow2Metadata *viscera, bool unfolded);

/*
 * The findings, wrapped to fit a terminal: what, where in the file, which range of the guest's disk, which snapshot,
 * and who else is concerned.
 */
void print_findings_text(FILE *out, const ImageCheckFindingList *findings);

/* What a repair would change, step by step. */
void print_edits_text(FILE *out, const ImageCheckEditList *edits);

/* What fills the file, what deleting snapshots would free, and in how many pieces the disk is stored. */
void print_space_text(FILE *out, const ImageCheckSpace *space);

/* What is at an offset of the file, or the way there from an offset of the guest's disk. */
void print_explanation_text(FILE *out, const ImageCheckExplanation *explanation);

/*
 * JSON, on many lines if @pretty, else on one. Members that are 0 are taken out of @check first, as the stock
 * tool leaves them out, unless @all_fields.
 */
void print_check_json(FILE *out, ImageCheck *check, bool all_fields, bool pretty);

/* What a rollback has done, or would do, in JSON. */
void print_rollback_json(FILE *out, ImageRollback *rollback);

#endif
