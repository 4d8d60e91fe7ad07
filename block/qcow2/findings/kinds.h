/*
 * Every kind of fault that a check can find, in one table: what it counts as, and the stock tool's text of it. Pure,
 * but for writing messages.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_FINDINGS_KINDS_H
#define BLOCK_QCOW2_FINDINGS_KINDS_H

#include <assert.h>
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "block/qcow2/findings/location.h"
#include "qapi/qapi-types.h"

typedef struct Qcow2Finding {
    ImageCheckFindingKind kind;
    uint64_t values[3]; /* the numbers and texts that the message of the kind takes */
    const char *texts[2];
    Qcow2Location location;
    bool has_evidence; /* of something that was lost: how sure that is */
    ImageCheckEvidence evidence;
    bool no_advice; /* its message ends before the advice to run "check -r all" */
} Qcow2Finding;

/* The bit of a kind in a set of kinds. */
#define QCOW2_FINDING_BIT(kind) (UINT64_C(1) << (kind))
static_assert(QCOW2_FINDING__MAX <= 64, "a set of kinds is a number");

#define QCOW2_USUAL_MESSAGE 240 /* bytes of a message at most; longer ones cost more */

/* The text of @finding, without a line end. The caller frees it. */
char *qcow2_finding_message(const Qcow2Finding *finding);

/* The same, among @texts. */
const char *qcow2_finding_add_message(const Qcow2Finding *finding, GStringChunk *texts);

/* Puts that text, which is no longer than usual, into @room, with a NUL behind it. Returns its length. */
size_t qcow2_finding_put_message(const Qcow2Finding *finding, char room[QCOW2_USUAL_MESSAGE]);

/*
 * Writes that text, with a line end, to @file, and returns the number of bytes. @repairing: "Repairing" stands for its
 * first word, which is not the name of the program.
 */
uint64_t qcow2_finding_write(const Qcow2Finding *finding, bool repairing, FILE *file);

/*
 * The same for findings of @n clusters in a row, of which @first is the first: the first number of the text is that of
 * the cluster, and the rest of it is short and the same for all.
 */
void qcow2_finding_write_clusters(const Qcow2Finding *first, uint64_t n, bool repairing, FILE *file);

/* What findings of @kind mean for the verdict. */
ImageCheckSeverity qcow2_finding_severity(ImageCheckFindingKind kind);

#endif
