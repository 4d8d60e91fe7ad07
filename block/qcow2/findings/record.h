/*
 * A finding as a record, and a packed form of it: there may be 100,000 leaks, and most of them have only a place and
 * two small counts. Pure.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_FINDINGS_RECORD_H
#define BLOCK_QCOW2_FINDINGS_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "block/qcow2/findings/kinds.h"

typedef struct Qcow2FindingRecord {
    ImageCheckFindingKind kind;
    ImageCheckEvidence evidence; /* where has_evidence */
    bool has_evidence;
    bool fixed;
    bool same_value;        /* all entries name the one range of the file */
    bool shared;            /* others use its clusters; none of them may be named */
    uint32_t n_users;       /* of those, named */
    uint32_t first_user;    /* index of the first of them */
    uint64_t count;         /* faults in it; 1 for a note */
    Qcow2Location location; /* of all of them; the entry is that of the first */
    uint64_t last_entry;    /* the entry of the last, where they have any */
    const char *message;    /* of the first; NULL: qcow2_finding_record_message() makes it */
} Qcow2FindingRecord;

typedef struct PackedRecord {
    uint64_t cluster_offset;
    uint64_t cluster_size;
    uint32_t count;
    uint16_t refcount;
    uint8_t reference;
    uint8_t kind : 7;
    uint8_t fixed : 1;
} PackedRecord;

/* False where @record has more than there is room for. */
bool packed_record_from(const Qcow2FindingRecord *record, PackedRecord *packed);

Qcow2FindingRecord packed_record_unpack(const PackedRecord *packed);

/* Returns true if the message of a record of @finding, and those that continue it, can be made of the record. */
bool qcow2_finding_message_follows(const Qcow2Finding *finding);

/* The message of @record; @room is for one that is made. */
const char *qcow2_finding_record_message(const Qcow2FindingRecord *record, char room[QCOW2_USUAL_MESSAGE]);

#endif
