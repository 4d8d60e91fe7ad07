/*
 * The metadata of an image as a tree: `check -M`.
 *
 * Nothing here fails: errors of the stream are left in its error flag for the caller.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_OUTPUT_VISCERA_TEXT_H
#define UI_OUTPUT_VISCERA_TEXT_H

#include <stdbool.h>
#include <stdio.h>

#include "qapi/qapi-types.h"

/*
 * Prints the offset and size of each structure, and what it contains. Long lists are folded to their number and
 * extent unless @unfolded.
 */
void print_viscera_text(FILE *out, const Qcow2Metadata *viscera, bool unfolded);

#endif
