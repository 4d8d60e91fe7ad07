/*
 * Results as JSON.
 *
 * Nothing here fails: errors of the stream are left in its error flag for the caller.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_OUTPUT_JSON_H
#define UI_OUTPUT_JSON_H

#include <stdbool.h>
#include <stdio.h>

#include "qapi/qapi-types.h"

/*
 * Prints the result @check, on many lines if @pretty, else on one. Removes members that are 0 from @check first, as
 * the stock tool leaves them out, unless @all_fields.
 */
void print_check_json(FILE *out, ImageCheck *check, bool all_fields, bool pretty);

/* Prints what a rescue has found. */
void print_rescue_json(FILE *out, ImageRescue *rescue);

/* Prints what a rollback has done, or would do. */
void print_rollback_json(FILE *out, ImageRollback *rollback);

#endif
