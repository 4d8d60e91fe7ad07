/*
 * The findings of a check as text: `check -v`.
 *
 * Nothing here fails: errors of the stream are left in its error flag for the caller.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_OUTPUT_FINDINGS_TEXT_H
#define UI_OUTPUT_FINDINGS_TEXT_H

#include <stdio.h>

#include "qapi/qapi-types.h"

/*
 * Prints each finding, in lines of 79 columns: its kind, its place in the file, the range of the guest's disk, the
 * snapshot, and the other users of the cluster.
 */
void print_findings_text(FILE *out, const QapiSequence *findings);

#endif
