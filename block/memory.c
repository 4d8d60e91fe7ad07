/*
 * A block source over bytes in memory, for tests and fuzzers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/source.h"

#include <string.h>

typedef struct MemorySource {
    BlockSource base;
    const char *bytes;
} MemorySource;

static ssize_t memory_read_at(BlockSource *source, void *buffer, size_t size, uint64_t offset)
{
    MemorySource *memory = (MemorySource *)source;

    memcpy(buffer, memory->bytes + offset, size);
    return size;
}

static void memory_close(BlockSource *source)
{
    g_free(source);
}

static const BlockSourceOps memory_ops = {.read_at = memory_read_at, .close = memory_close};

BlockSource *block_source_new_memory(const void *bytes, size_t size)
{
    MemorySource *memory = g_new(MemorySource, 1);

    *memory = (MemorySource){.base = {.ops = &memory_ops, .length = size}, .bytes = bytes};
    return &memory->base;
}
