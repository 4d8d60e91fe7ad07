/*
 * What every pass of a repair is given: the image as the passes before leave it, counted.
 *
 *     input            what there is                                             written by the chain
 *     layout           where structures are, or are said to be                   layout.c
 *     overlap          guest data that lies on them                              overlap.c
 *     targets          counts that the image is to have, and which may change    target-counts.c
 *     allocator        where something new may go                                allocate.c
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_REPAIR_INPUT_H
#define BLOCK_QCOW2_REPAIR_INPUT_H

#include "block/io/edits.h"
#include "block/qcow2/check/check.h"
#include "block/repair.h"

typedef struct RepairInput {
    const Qcow2Image *image;
    const Qcow2HeaderFields *header; /* of the image */
    const Qcow2RepairOptions *options;
    FILE *messages;                   /* NULL: nobody reads them */
    GHashTable *said;                 /* see repair_say() */
    const Qcow2Check *check;          /* all is counted; structures and counts are reported */
    Qcow2Report *report;              /* what was reported to the user */
    const struct TargetCounts *first; /* the counts of the image when they were reported; NULL: they are these */
} RepairInput;

/* Returns true if findings of @kind are to be repaired. */
static inline bool repair_wants(const RepairInput *in, ImageCheckFindingKind kind)
{
    return !in->options->only || (in->options->only & QCOW2_FINDING_BIT(kind));
}

/* How many findings of @kind the image has. */
static inline uint64_t repair_found(const RepairInput *in, ImageCheckFindingKind kind)
{
    return in->check->report.count_by_kind[kind];
}

/* Returns true if it has any of @kinds, a set of QCOW2_FINDING_BIT(). */
static inline bool repair_found_any(const RepairInput *in, uint64_t kinds)
{
    for (ImageCheckFindingKind kind = 0; kind < QCOW2_FINDING__MAX; kind++) {
        if ((kinds & QCOW2_FINDING_BIT(kind)) && repair_found(in, kind)) {
            return true;
        }
    }
    return false;
}

/*
 * Why an edit is made that repairs faults of @kinds, a set of QCOW2_FINDING_BIT(): the first of them that was reported.
 * Where none was, it goes with the first of @edits; where there is none, it is the last of them.
 */
static inline ImageCheckFindingKind repair_why(const RepairInput *in, const Edits *edits, uint64_t kinds)
{
    ImageCheckFindingKind last = QCOW2_FINDING__MAX;

    for (ImageCheckFindingKind kind = 0; kind < QCOW2_FINDING__MAX; kind++) {
        if (kinds & QCOW2_FINDING_BIT(kind)) {
            last = kind;
            if (in->report->count_by_kind[kind]) {
                return kind;
            }
        }
    }
    return edits_n(edits) ? edits_at(edits, 0)->why : last;
}

/* Sets @errp: memory is short. Returns false. */
bool repair_no_memory(GError **errp);

/* Returns true the first time that it is called with @what in a repair. */
bool repair_first_time(const RepairInput *in, const char *what);

/* Writes a message, once in a repair. */
void repair_say(const RepairInput *in, const char *format, ...) G_GNUC_PRINTF(2, 3);

#endif
