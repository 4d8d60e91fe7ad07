/*
 * What a check of a qcow2 image can be asked for, and what it yields.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_CHECK_H
#define BLOCK_QCOW2_CHECK_H

#include <stdio.h>

#include "block/cluster-roles.h"
#include "block/decompress.h"
#include "block/mappings.h"
#include "block/progress.h"
#include "block/qcow2-image.h"
#include "qapi/qapi-types.h"

/* The question what is at an offset. */
typedef struct Qcow2Question {
    bool guest;           /* the offset is one of the guest's disk; else of the file */
    uint64_t offset;      /* bytes */
    const char *snapshot; /* for an offset of the disk of a snapshot: its name or ID; NULL: the active disk */
    const DecompressOps *decompress; /* to read the compressed data at the offset, and decompress it; NULL: do not */
} Qcow2Question;

typedef struct Qcow2CheckOptions {
    const Qcow2Question *question; /* fill ImageCheck.explanation; NULL: do not */

    bool viscera;     /* fill ImageCheck.viscera */
    bool roles;       /* fill Qcow2CheckResult.roles */
    bool space;       /* fill ImageCheck.space */
    bool findings;    /* fill ImageCheck.findings */
    bool corruptions; /* fill them with corruptions only, and do not read the image again to explain them */
    bool judgement;   /* fill ImageCheck.judgement, and what goes with it */
    bool lost_data;   /* for it look whether leaked clusters are the last copy of something: that reads them */
    const DecompressOps *verify_compressed; /* read compressed clusters, and decompress them; NULL: do not */
    bool layout;                            /* fill Qcow2CheckResult.layout */
    bool backing_checked;                   /* so is the image below: no note says that it was not looked at */
    FILE *messages;                         /* one line for each finding, in the stock tool's order and words */
    uint64_t max_messages;                  /* then a line with the number of the others; 0: all */
    bool detect_changes;                    /* another program may write to the image: detect whether it does */
    unsigned workers;                       /* threads that read and count, 1 .. 16 */
    CheckProgress *progress;                /* NULL: no progress is counted */
    uint64_t repairing; /* kinds of findings (QCOW2_FINDING_BIT()) whose messages begin with "Repairing" */
    bool outcome;       /* of a repair that is planned only: fill Qcow2CheckResult.outcome */
    bool no_advice;     /* the command is "check -r all": messages do not advise it */

    /*
     * NULL, or called when all findings are reported and before the result is made. @right: there are no corruptions,
     * and everything could be examined. False and @errp set ends the check.
     */
    bool (*reported)(void *opaque, Qcow2Image *image, bool right, GError **errp);
    void *opaque;
} Qcow2CheckOptions;

/* A summary of an image, and where the guest's clusters are in it. */
typedef struct Qcow2Layout {
    Qcow2Summary summary;
    Mappings mappings;
} Qcow2Layout;

typedef struct Qcow2CheckResult {
    GError *not_repaired; /* why nothing was repaired, the rest being of the image as found; NULL otherwise */
    GError *no_answer;    /* why there is no answer to the question; NULL otherwise */
    ImageCheck *check;    /* all counts set, 0 included; filename and format are left to the caller */
    ImageCheck *outcome;  /* what a check would find after the repair that was planned; NULL unless asked for */
    int failure;          /* 0, or the errno value of the first failure to examine something */
    bool changed;         /* another program wrote to the image: the result may be transient */
    ClusterRoles *roles;  /* NULL unless asked for */
    Qcow2Layout *layout;  /* NULL unless asked for */
    char **notes;         /* notes for the user that count nowhere, NULL-terminated; may be empty */
} Qcow2CheckResult;

#endif
