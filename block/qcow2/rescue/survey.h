/*
 * The survey: all L2 tables of the disk and of the snapshots, read once. It yields the class of each range of the disk,
 * and takes out entries that cannot be.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_RESCUE_SURVEY_H
#define BLOCK_QCOW2_RESCUE_SURVEY_H

#include "block/io/edits.h"
#include "block/qcow2/rescue/trees.h"

typedef struct Qcow2Survey {
    GArray *ranges;            /* ImageRescueRange: all of the disk, in order */
    uint64_t first_compressed; /* the lowest offset of a compressed cluster; UINT64_MAX: there is none */
    uint64_t luks;             /* offset of a LUKS header that is no data of the guest; 0: none */
    uint64_t damaged;          /* entries that were taken out */
} Qcow2Survey;

/*
 * Reads the tables from @view, the source with the edits so far. Adds an edit for each table with damaged entries.
 * @dropped: Qcow2DroppedEntry. False and @errp set when memory is short; @survey is to be cleared either way.
 */
bool qcow2_survey(const Qcow2Found *found, const Qcow2Trees *trees, BlockSource *view, const GArray *dropped,
                  Edits *edits, Qcow2Survey *survey, GError **errp);
void qcow2_survey_clear(Qcow2Survey *survey);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Qcow2Survey, qcow2_survey_clear)

#endif
