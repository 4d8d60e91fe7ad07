/*
 * What a person asks to be done to an image by hand: one thing, and nothing else.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_REPAIR_REQUEST_H
#define BLOCK_REPAIR_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

typedef enum Qcow2RequestKind {
    QCOW2_REQUEST_NONE,

    /* These are done to the header alone, of an image that need not be one that can be opened. */
    QCOW2_REQUEST_DROP_BITMAPS,
    QCOW2_REQUEST_DROP_SNAPSHOTS,
    QCOW2_REQUEST_DROP_BACKING_NAME,
    QCOW2_REQUEST_DROP_ENCRYPTION_HEADER,

    QCOW2_REQUEST_DROP_SNAPSHOT,   /* @name */
    QCOW2_REQUEST_DROP_BITMAP,     /* @name */
    QCOW2_REQUEST_ATTACH_L2,       /* the L2 table at @offset to L1 entry @index of the disk, or of snapshot @name */
    QCOW2_REQUEST_ATTACH_L1,       /* the L1 table at @offset to the header */
    QCOW2_REQUEST_ATTACH_REFBLOCK, /* the refcount block at @offset to entry @index of the refcount table */
    QCOW2_REQUEST_ZERO,            /* the entries of the guest's disk from @offset on, @length bytes, read as zeros */
} Qcow2RequestKind;

typedef struct Qcow2Request {
    Qcow2RequestKind kind;
    uint64_t offset; /* bytes */
    uint64_t length; /* bytes */
    uint64_t index;
    char *name; /* ID or name of a snapshot, or name of a bitmap; NULL: none */
} Qcow2Request;

static inline bool qcow2_request_is_for_header(const Qcow2Request *request)
{
    return request->kind >= QCOW2_REQUEST_DROP_BITMAPS && request->kind <= QCOW2_REQUEST_DROP_ENCRYPTION_HEADER;
}

#endif
