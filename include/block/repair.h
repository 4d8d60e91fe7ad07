/*
 * Repairing a qcow2 image.
 *
 * A repair is planned wholly in memory, from a check that has counted everything; nothing is written while it is
 * planned. The plan is a list of edits in phases (block/io/edits.h), in an order in which the image reads the same
 * guest data, and is no worse than before, wherever it is broken off. What cannot be repaired is left alone, and does
 * not stop the rest. What only comes to light by a repair is repaired too: a second one changes nothing.
 *
 * A clean image keeps every byte.
 *
 * Not thread safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_REPAIR_H
#define BLOCK_REPAIR_H

#include "block/qcow2.h"
#include "block/repair-request.h"
#include "block/undo/file.h"

typedef struct Qcow2RepairOptions {
    bool all;       /* repair all that can be; otherwise leaks, and COPIED flags where nothing else is wrong */
    bool dry_run;   /* plan and list only; the source need not be writable */
    bool free_lost; /* free leaked clusters even where a fault remains that may be what made them leak */
    bool restore;   /* put back what is lost, and as sure as this; with @all, and not with @free_lost: */
    ImageCheckEvidence min_evidence;
    uint64_t only;               /* kinds of findings to repair, as QCOW2_FINDING_BIT(); 0: all */
    const Qcow2Request *request; /* NULL, or: the one thing to be done, of an image that was opened */
    UndoFile *undo;              /* NULL, or: gets all that will be overwritten, and is sealed before the first write */

    const Qcow2CheckOptions *check; /* how to check, before and after */
} Qcow2RepairOptions;

typedef struct Qcow2RepairResult {
    Qcow2CheckResult check; /* of the image as it is on disk afterwards; with what was fixed */
    uint64_t leaks_kept;    /* leaked clusters that stay for a fault that remains, or a trace of something lost */
} Qcow2RepairResult;

/*
 * Repairs @image, and checks it again if something was written. @image is as it was when it was opened, and of no more
 * use after a repair. Where there is no room for what the repair takes, nothing is changed, and the result is that of a
 * check, with @not_repaired. False and @errp set when memory is short or the repair was broken off; the image is then
 * as before, or as the phases that were completed have left it.
 */
bool qcow2_repair(Qcow2Image *image, const Qcow2RepairOptions *options, Qcow2RepairResult *result, GError **errp);
/*
 * Does options->request, which is one for the header, to the image in @source, and checks it then; with
 * options->dry_run the result is that of the image as it would be. False and @errp set where there is nothing to do, or
 * the image cannot be opened even so: it is as before, but where writing failed.
 */
bool qcow2_drop_from_header(BlockSource *source, const Qcow2RepairOptions *options, Qcow2RepairResult *result,
                            GError **errp);

void qcow2_repair_result_clear(Qcow2RepairResult *result);

#endif
