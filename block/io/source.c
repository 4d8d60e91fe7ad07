/*
 * What all block sources share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/source.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "block/io/pacer.h"

/* The largest single request that BlockSourceOps.read_at promises to take, bytes. */
#define MAX_REQUEST (1u << 30)

static void account(BlockSource *source, size_t bytes, unsigned requests)
{
    __atomic_fetch_add(&source->bytes_read, bytes, __ATOMIC_RELAXED);
    __atomic_fetch_add(&source->requests, requests, __ATOMIC_RELAXED);
}

/* Notes how a read ended. */
static void note_result(BlockSource *source, int error)
{
    if (error) {
        g_atomic_int_set(&source->read_error, error);
        __atomic_fetch_add(&source->failed_reads, 1, __ATOMIC_RELAXED);
    }
}

/* Notes how long a read took, unless it had nothing to wait for. */
static void note_latency(BlockSource *source, int64_t latency)
{
    uint64_t known = __atomic_load_n(&source->latency, __ATOMIC_RELAXED);

    if (latency > PACER_WAITED && (!known || (uint64_t)latency < known)) {
        __atomic_store_n(&source->latency, (uint64_t)latency, __ATOMIC_RELAXED);
    }
}

/* Reads all of it; what lies beyond the end is zeros. */
static int read_all(BlockSource *source, char *to, size_t size, uint64_t offset)
{
    while (size > 0 && offset < source->length) {
        uint64_t below_end = MIN(size, source->length - offset);
        ssize_t n = source->ops->read_at(source, to, MIN(below_end, MAX_REQUEST), offset);

        if (n < 0) {
            return (int)n;
        }
        if (n == 0) {
            break;
        }
        to += n;
        size -= n;
        offset += n;
    }
    memset(to, 0, size);
    return 0;
}

/* ---- the head ---- */

void block_source_keep_head(BlockSource *source, uint8_t *bytes, size_t size, unsigned requests, int64_t latency)
{
    assert(!source->head && !source->writable && size <= source->length);
    source->head = bytes;
    source->head_size = size;
    account(source, size, requests);
    note_latency(source, latency);
}

void block_source_refresh(BlockSource *source)
{
    g_clear_pointer(&source->head, g_free);
    source->head_size = 0;
}

/* Returns true if all of a range was in the head, or behind the end of the source. */
static bool read_from_head(const BlockSource *source, void *buffer, size_t size, uint64_t offset)
{
    size_t there;

    if (!source->head || MIN(offset + size, source->length) > source->head_size) {
        return false;
    }
    there = offset < source->head_size ? MIN(size, source->head_size - offset) : 0;
    if (there > 0) {
        memcpy(buffer, source->head + offset, there);
    }
    memset((char *)buffer + there, 0, size - there);
    return true;
}

int block_source_read(BlockSource *source, void *buffer, size_t size, uint64_t offset)
{
    uint64_t end;
    int64_t start;
    int error;

    if (__builtin_add_overflow(offset, size, &end) || end > BLOCK_SOURCE_MAX_LENGTH) {
        return -EIO;
    }
    if (read_from_head(source, buffer, size, offset)) {
        return 0;
    }
    account(source, offset < source->length ? MIN(size, source->length - offset) : 0, 1);
    start = g_get_monotonic_time();
    error = read_all(source, buffer, size, offset);
    note_latency(source, g_get_monotonic_time() - start);
    note_result(source, error);
    return error;
}

/* ---- changes ---- */

/* Whether @source may be changed up to @end: 0 or a negative errno value. */
static int may_change(const BlockSource *source, uint64_t end)
{
    if (!source->writable) {
        return -EROFS;
    }
    return end > BLOCK_SOURCE_MAX_LENGTH ? -EIO : source->flush_error;
}

typedef ssize_t WritePart(BlockSource *source, const void *buffer, size_t size, uint64_t offset);

static int write_all(BlockSource *source, WritePart *write_part, const void *buffer, size_t size, uint64_t offset)
{
    const char *from = buffer;
    uint64_t end;
    int failure = __builtin_add_overflow(offset, size, &end) ? -EIO : may_change(source, end);

    while (failure == 0 && size > 0) {
        ssize_t n = write_part(source, from, MIN(size, MAX_REQUEST), offset);

        if (n <= 0) {
            return n < 0 ? (int)n : -EIO;
        }
        from += n;
        size -= n;
        offset += n;
        source->length = MAX(source->length, offset);
    }
    return failure;
}

int block_source_write(BlockSource *source, const void *buffer, size_t size, uint64_t offset)
{
    return write_all(source, source->ops->write_at, buffer, size, offset);
}

int block_source_write_durably(BlockSource *source, const void *buffer, size_t size, uint64_t offset)
{
    int failure = -EOPNOTSUPP;

    if (source->ops->write_durably_at) {
        failure = write_all(source, source->ops->write_durably_at, buffer, size, offset);
    }
    if (failure == -EOPNOTSUPP) {
        failure = block_source_write(source, buffer, size, offset);
        failure = failure ? failure : block_source_flush(source);
    } else if (failure != 0) {
        source->flush_error = failure; /* as after a flush, nobody can know what is on disk */
    }
    return failure;
}

int block_source_flush(BlockSource *source)
{
    int failure = may_change(source, 0);

    if (failure == 0) {
        failure = source->flush_error = source->ops->flush(source);
    }
    return failure;
}

int block_source_truncate(BlockSource *source, uint64_t length)
{
    int failure = may_change(source, length);

    if (failure != 0 || length == source->length) {
        return failure;
    }
    failure = source->ops->truncate ? source->ops->truncate(source, length) : -ENOTSUP;
    if (failure == 0) {
        source->length = length;
    }
    return failure;
}

int block_source_punch(BlockSource *source, uint64_t offset, uint64_t size)
{
    int failure = may_change(source, 0);

    if (failure != 0 || !source->ops->punch || size == 0 || offset >= source->length) {
        return failure;
    }
    failure = source->ops->punch(source, offset, MIN(size, source->length - offset));
    return failure == -EOPNOTSUPP ? 0 : failure;
}

/* ---- readers ---- */

/* Reads when submitting: for sources that have no readers of their own. */
static bool plain_submit(BlockReader *reader, BlockRequest *request)
{
    request->error = block_source_read(reader->source, request->buffer, request->size, request->offset);
    return true;
}

static void plain_close(BlockReader *reader)
{
    g_free(reader);
}

static const BlockReaderOps plain_ops = {.submit = plain_submit, .close = plain_close};

BlockReader *block_reader_new(BlockSource *source)
{
    BlockReader *reader = source->ops->reader_new ? source->ops->reader_new(source) : NULL;

    if (!reader) {
        reader = g_new0(BlockReader, 1);
        *reader = (BlockReader){.ops = &plain_ops, .source = source, .max_in_flight = 1};
    }
    return reader;
}

bool block_reader_submit(BlockReader *reader, BlockRequest *request)
{
    BlockSource *source = reader->source;
    uint64_t end = request->offset + request->size;

    if (end > source->length || reader->ops == &plain_ops) {
        /* the end of the file is rare: it may be read at once */
        return plain_submit(reader, request);
    }
    if (read_from_head(source, request->buffer, request->size, request->offset)) {
        request->error = 0;
        return true;
    }
    account(source, request->size, 1);
    if (!reader->ops->submit(reader, request)) {
        return false;
    }
    note_result(source, request->error);
    return true;
}

void block_request_finish(BlockSource *source, BlockRequest *request, size_t done)
{
    request->error = read_all(source, (char *)request->buffer + done, request->size - done, request->offset + done);
}

BlockRequest *block_reader_wait(BlockReader *reader)
{
    BlockRequest *request = reader->ops->wait(reader);

    note_result(reader->source, request->error);
    return request;
}

void block_reader_free(BlockReader *reader)
{
    if (reader) {
        reader->ops->close(reader);
    }
}

uint64_t block_source_next_data(BlockSource *source, uint64_t offset)
{
    return source->ops->next_data ? source->ops->next_data(source, offset) : offset;
}

uint64_t block_source_next_hole(BlockSource *source, uint64_t offset)
{
    return source->ops->next_hole ? source->ops->next_hole(source, offset) : source->length;
}

bool block_source_is_hole(BlockSource *source, uint64_t offset, uint64_t size)
{
    return source->ops->next_data && size <= source->length && offset <= source->length - size &&
           source->ops->next_data(source, offset) >= offset + size;
}

BlockSourceState block_source_state(BlockSource *source)
{
    return source->ops->state ? source->ops->state(source) : (BlockSourceState){.length = source->length};
}

void block_source_follow(BlockSource *source)
{
    block_source_refresh(source);
    source->length = block_source_state(source).length;
}

void block_source_close(BlockSource *source)
{
    if (source) {
        block_source_refresh(source);
        source->ops->close(source);
    }
}
