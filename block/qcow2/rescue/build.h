/*
 * What makes a sound image of the source: a header, an L1 table, L1 tables of snapshots without what cannot be.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_RESCUE_BUILD_H
#define BLOCK_QCOW2_RESCUE_BUILD_H

#include "block/io/edits.h"
#include "block/qcow2/rescue/survey.h"

/*
 * Adds the edits. *@end, cluster aligned and behind all that the file has, is where a new structure goes, and grows.
 * @notes (char *) gets what is given up, in words.
 */
void qcow2_build_image(const Qcow2Found *found, const Qcow2Trees *trees, const Qcow2Survey *survey, Edits *edits,
                       uint64_t *end, GPtrArray *notes);

#endif
