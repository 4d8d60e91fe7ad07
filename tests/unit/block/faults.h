/*
 * A block source over bytes in memory, some of which cannot be read.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_UNIT_BLOCK_FAULTS_H
#define TESTS_UNIT_BLOCK_FAULTS_H

#include <errno.h>
#include <string.h>

#include "block/source.h"

typedef struct FaultySource {
    BlockSource base;
    const uint8_t *bytes;
    uint64_t bad; /* reads that touch the @bad_size bytes from here on give EIO */
    uint64_t bad_size;
} FaultySource;

static ssize_t faulty_read_at(BlockSource *source, void *buffer, size_t size, uint64_t offset)
{
    FaultySource *faulty = (FaultySource *)source;

    if (offset < faulty->bad + faulty->bad_size && offset + size > faulty->bad) {
        return -EIO;
    }
    memcpy(buffer, faulty->bytes + offset, size);
    return size;
}

static const BlockSourceOps faulty_ops = {.read_at = faulty_read_at};

static inline FaultySource faulty_source(const uint8_t *bytes, size_t size, uint64_t bad, uint64_t bad_size)
{
    return (FaultySource){
        .base = {.ops = &faulty_ops, .length = size}, .bytes = bytes, .bad = bad, .bad_size = bad_size};
}

#endif
