/*
 * The judgement: what a check means for the owner of the image (ImageCheckJudgement), and how much of the guest's disk
 * is lost.
 *
 * What is lost are ranges that cannot be read, those without an L2 table that the image has had, and those whose table
 * was found among what leaks with a certainty above "guessed". Pure, but for memory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_INSPECT_JUDGEMENT_H
#define BLOCK_QCOW2_INSPECT_JUDGEMENT_H

#include "block/qcow2/check/check.h"
#include "block/qcow2/inspect/lost-data.h"

/* What was found beside the findings of the check. All is borrowed. */
typedef struct Qcow2JudgementInput {
    const GArray *unreadable; /* Qcow2Unreadable */
    uint64_t unreadable_more; /* clusters that are not in it */
    const Qcow2LostData *lost;
    bool searched;         /* for @lost clusters that leak were looked into */
    uint64_t shared;       /* clusters that qcow2_find_shared() has found */
    bool bitmaps_doubtful; /* bitmaps were noted as not to be trusted */
    bool changed;          /* the image was written to during the check */
} Qcow2JudgementInput;

/*
 * Fills the members of @result from judgement to file_length_least. After qcow2_check_report(). False and @errp set
 * when memory is short.
 */
bool qcow2_judge(const Qcow2Check *check, const Qcow2JudgementInput *input, ImageCheck *result, GError **errp);

#endif
