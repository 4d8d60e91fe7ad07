/*
 * Writing the copy of metadata: bytes to the sink, without what is zeros, and what is omitted.
 *
 * Any number of threads may write at once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_METADUMP_WRITER_H
#define BLOCK_QCOW2_METADUMP_WRITER_H

#include <pthread.h>

#include "block/qcow2/check/check.h"
#include "block/qcow2/metadump/scramble.h"
#include "block/qcow2/metadump/sink.h"

typedef struct Qcow2Copy {
    Qcow2Check *check;
    const Qcow2CopySink *sink;
    Qcow2Scrambler *scrambler; /* NULL: names stay */
    pthread_mutex_t lock;      /* of the sink and of all members below */
    GError *error;             /* the first one */
    bool over_header;          /* something was copied over the header */
} Qcow2Copy;

/* Writes the bytes below the end of the image that are not zeros. False on failure, which sets @error. */
bool qcow2_copy_bytes(Qcow2Copy *copy, uint64_t offset, const uint8_t *bytes, size_t size);
void qcow2_copy_omit(Qcow2Copy *copy, ImageCheckStructure structure, uint64_t offset, uint64_t size, const char *why);

#define QCOW2_COPY_IMPLAUSIBLE "what lies there does not look like it, and may be data of the guest"
#define QCOW2_COPY_ALIEN       "some entries in there do not look like any, and may be data of the guest"

#endif
