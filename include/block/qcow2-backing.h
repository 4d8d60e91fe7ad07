/*
 * What a qcow2 image says of the image below it, and what a commit into that one would take.
 *
 * Nothing here opens the image below; a caller that does hands it in. Not thread safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_BACKING_H
#define BLOCK_QCOW2_BACKING_H

#include "block/qcow2-image.h"

#define QCOW2_BACKING_NAME_SIZE   1024 /* bytes, with the zero byte at the end */
#define QCOW2_BACKING_FORMAT_SIZE 16

typedef struct Qcow2Backing {
    uint64_t size;                          /* of the guest's disk, bytes */
    char name[QCOW2_BACKING_NAME_SIZE];     /* as stored, cut at a zero byte; empty: there is no image below */
    char format[QCOW2_BACKING_FORMAT_SIZE]; /* as stored; empty: not stored */
} Qcow2Backing;

/* Reads the header of @image once more. False and @errp set when a part of it cannot be read. */
bool qcow2_read_backing(const Qcow2Image *image, Qcow2Backing *backing, GError **errp);

/* What a commit of an image into the one below would take. */
typedef struct Qcow2Commit {
    uint64_t bytes;        /* at most, that the file below needs and has not allocated */
    bool has_room;         /* its length is fixed */
    uint64_t room;         /* bytes in it that are not in use then */
    bool is_larger;        /* the disk below is smaller, and has to become larger first */
    bool cannot_be_larger; /* and cannot: it is raw, of a fixed length */
} Qcow2Commit;

/*
 * Estimates the commit of @overlay into the image at @below, whose header is @base; NULL: it is raw. Reads L1 and L2
 * tables of both, and the counts of @base if its length is fixed. False and @errp set when that cannot be known: tables
 * that cannot be read, or are used twice, or data in another file.
 */
bool qcow2_estimate_commit(Qcow2Image *overlay, Qcow2Image *base, BlockSource *below, Qcow2Commit *commit,
                           GError **errp);

#endif
