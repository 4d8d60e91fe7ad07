/*
 * A finding as a record.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/findings/record.h"

#include <assert.h>

static bool has_only_counts(const Qcow2Location *p)
{
    return p->structure == IMAGE_CHECK_STRUCTURE_NONE && !p->has_entry && !p->guest_size && !p->snapshot &&
           !p->bitmap && p->has_refcount && p->has_reference && p->refcount <= UINT16_MAX && p->reference <= UINT8_MAX;
}

bool packed_record_from(const Qcow2FindingRecord *r, PackedRecord *packed)
{
    if (r->message || r->has_evidence || r->same_value || r->shared || r->n_users || r->count > UINT32_MAX ||
        !has_only_counts(&r->location)) {
        return false;
    }
    *packed = (PackedRecord){
        .cluster_offset = r->location.cluster_offset,
        .cluster_size = r->location.cluster_size,
        .count = (uint32_t)r->count,
        .refcount = (uint16_t)r->location.refcount,
        .reference = (uint8_t)r->location.reference,
        .kind = (uint8_t)(r->kind & 0x7f),
        .fixed = r->fixed,
    };
    return true;
}

Qcow2FindingRecord packed_record_unpack(const PackedRecord *packed)
{
    return (Qcow2FindingRecord){
        .kind = packed->kind,
        .fixed = packed->fixed,
        .count = packed->count,
        .location =
            {
                .structure = IMAGE_CHECK_STRUCTURE_NONE,
                .has_refcount = true,
                .has_reference = true,
                .cluster_offset = packed->cluster_offset,
                .cluster_size = packed->cluster_size,
                .refcount = packed->refcount,
                .reference = packed->reference,
            },
    };
}

bool qcow2_finding_message_follows(const Qcow2Finding *finding)
{
    const Qcow2Location *p = &finding->location;

    return (finding->kind == QCOW2_FINDING_LEAK || finding->kind == QCOW2_FINDING_REFCOUNT_TOO_LOW) && !p->has_entry &&
           p->cluster_size && p->cluster_offset % p->cluster_size == 0 &&
           p->cluster_offset / p->cluster_size == finding->values[0] && p->refcount == finding->values[1] &&
           p->reference == finding->values[2];
}

const char *qcow2_finding_record_message(const Qcow2FindingRecord *r, char room[QCOW2_USUAL_MESSAGE])
{
    const Qcow2Location *p = &r->location;

    if (r->message) {
        return r->message;
    }
    assert(p->cluster_size && p->cluster_size % r->count == 0);
    qcow2_finding_put_message(
        &(Qcow2Finding){r->kind, {p->cluster_offset / (p->cluster_size / r->count), p->refcount, p->reference}}, room);
    return room;
}
