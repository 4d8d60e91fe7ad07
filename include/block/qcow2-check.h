/*
 * What a check of a qcow2 image can be asked for, and what it yields.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_CHECK_H
#define BLOCK_QCOW2_CHECK_H

#include <stdio.h>

#include "block/cluster-roles.h"
#include "block/mappings.h"
#include "block/progress.h"
#include "block/qcow2-image.h"
#include "qapi/qapi-types.h"

/* What is at @offset? */
typedef struct Qcow2Question {
    bool guest;           /* of the guest's disk; else of the file */
    uint64_t offset;      /* bytes */
    const char *snapshot; /* its name or ID, for an offset of its disk; NULL: the disk as it is now */
} Qcow2Question;

typedef struct Qcow2CheckOptions {
    const Qcow2Question *question; /* fill ImageCheck.explanation; NULL: nothing is asked */

    bool viscera;            /* fill ImageCheck.viscera */
    bool roles;              /* fill Qcow2CheckResult.roles */
    bool space;              /* fill ImageCheck.space */
    bool findings;           /* fill ImageCheck.findings */
    bool corruptions;        /* with corruptions at least, and without what takes another look at the image */
    bool layout;             /* fill Qcow2CheckResult.layout */
    FILE *messages;          /* one line for each finding, in the stock tool's order and words */
    uint64_t max_messages;   /* then a line with the number of the others; 0: all */
    bool detect_changes;     /* another program may write to the image meanwhile: find out whether it does */
    unsigned workers;        /* threads that read and count, 1 .. 16 */
    CheckProgress *progress; /* NULL: nobody looks */
    uint64_t repairing;      /* kinds of findings (QCOW2_FINDING_BIT()) whose messages say that they are repaired */

    /*
     * NULL, or called when all is reported and the result is not made yet; @right: there are no corruptions, and all
     * could be examined. False and @errp set ends the check.
     */
    bool (*reported)(void *opaque, Qcow2Image *image, bool right, GError **errp);
    void *opaque;
} Qcow2CheckOptions;

/* What an image is, and where the guest's clusters are in it. */
typedef struct Qcow2Layout {
    Qcow2Summary facts;
    Mappings mappings;
} Qcow2Layout;

typedef struct Qcow2CheckResult {
    GError *not_repaired; /* why nothing was repaired: all is of the image as it was found; NULL otherwise */
    GError *no_answer;    /* why there is no answer to the question; NULL otherwise */
    ImageCheck *check;    /* all counts set, 0 included; filename and format are left to the caller */
    int failure;          /* 0, or the errno value of the first thing that could not be examined */
    bool changed;         /* somebody wrote to the image: what was found may be a passing state */
    ClusterRoles *roles;  /* NULL unless asked for */
    Qcow2Layout *layout;  /* likewise */
    char **notes;         /* NULL-terminated: what the user should know and what counts nowhere; may be empty */
} Qcow2CheckResult;

#endif
