/*
 * A block source over bytes in memory, for tests and fuzzers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/source.h"

#include <errno.h>
#include <string.h>

typedef struct MemorySource {
    BlockSource base;
    const char *bytes;
    char *own;    /* the same bytes where they can be written, or NULL */
    size_t limit; /* how long these may become */
} MemorySource;

static ssize_t memory_read_at(BlockSource *source, void *buffer, size_t size, uint64_t offset)
{
    MemorySource *memory = (MemorySource *)source;

    memcpy(buffer, memory->bytes + offset, size);
    return size;
}

static int memory_truncate(BlockSource *source, uint64_t length)
{
    MemorySource *memory = (MemorySource *)source;
    char *bytes;

    if (length > memory->limit) {
        return -ENOSPC;
    }
    bytes = g_try_realloc(memory->own, MAX(length, 1));
    if (!bytes) {
        return -ENOMEM;
    }
    if (length > source->length) {
        memset(bytes + source->length, 0, length - source->length);
    }
    memory->bytes = memory->own = bytes;
    source->length = length;
    return 0;
}

static ssize_t memory_write_at(BlockSource *source, const void *buffer, size_t size, uint64_t offset)
{
    MemorySource *memory = (MemorySource *)source;
    int failure = offset + size > source->length ? memory_truncate(source, offset + size) : 0;

    if (failure != 0) {
        return failure;
    }
    memcpy(memory->own + offset, buffer, size);
    return size;
}

static int memory_flush(BlockSource *source)
{
    return 0;
}

static int memory_punch(BlockSource *source, uint64_t offset, uint64_t size)
{
    memset(((MemorySource *)source)->own + offset, 0, size);
    return 0;
}

static void memory_close(BlockSource *source)
{
    g_free(((MemorySource *)source)->own);
    g_free(source);
}

static const BlockSourceOps memory_ops = {
    .read_at = memory_read_at,
    .write_at = memory_write_at,
    .flush = memory_flush,
    .truncate = memory_truncate,
    .punch = memory_punch,
    .close = memory_close,
};

BlockSource *block_source_new_memory(const void *bytes, size_t size)
{
    MemorySource *memory = g_new(MemorySource, 1);

    *memory = (MemorySource){.base = {.ops = &memory_ops, .length = size}, .bytes = bytes};
    return &memory->base;
}

BlockSource *block_source_new_writable_memory(const void *bytes, size_t size, size_t limit)
{
    MemorySource *memory = g_new(MemorySource, 1);
    char *own = g_malloc(MAX(size, 1));

    if (size > 0) {
        memcpy(own, bytes, size);
    }
    *memory = (MemorySource){
        .base = {.ops = &memory_ops, .length = size, .writable = true},
        .bytes = own,
        .own = own,
        .limit = limit,
    };
    return &memory->base;
}

const uint8_t *block_source_memory_bytes(const BlockSource *source)
{
    return (const uint8_t *)((const MemorySource *)source)->bytes;
}
