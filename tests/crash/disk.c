/*
 * A disk for tests: see disk.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "disk.h"

#include <errno.h>
#include <string.h>

typedef struct Buffer {
    uint8_t *bytes;
    size_t capacity;
} Buffer;

typedef struct CrashDisk {
    BlockSource base;
    Buffer buffer; /* base.length bytes of it are the disk's */
    size_t limit;
    CrashJournal *journal;
    unsigned number;
} CrashDisk;

/*
 * Buffers of closed disks, for the next ones: there are thousands of disks, and most of the time that a new one took
 * went into fresh pages. More than four disks are never open at once.
 */
static Buffer spare[4];

static void grow(Buffer *buffer, size_t size)
{
    if (size > buffer->capacity) {
        buffer->capacity = MAX(size, 2 * buffer->capacity);
        buffer->bytes = g_realloc(buffer->bytes, buffer->capacity);
    }
}

/* Returns a buffer of @size bytes, of any content. */
static Buffer buffer_take(size_t size)
{
    Buffer *largest = spare, taken;

    for (size_t i = 1; i < G_N_ELEMENTS(spare); i++) {
        largest = spare[i].capacity > largest->capacity ? &spare[i] : largest;
    }
    taken = *largest;
    *largest = (Buffer){0};
    grow(&taken, MAX(size, 1));
    return taken;
}

static void buffer_give(Buffer buffer)
{
    for (size_t i = 0; i < G_N_ELEMENTS(spare); i++) {
        if (!spare[i].bytes) {
            spare[i] = buffer;
            return;
        }
    }
    g_free(buffer.bytes);
}

static void clear_op(void *op)
{
    g_free(((CrashOp *)op)->bytes);
}

CrashJournal *crash_journal_new(void)
{
    CrashJournal *journal = g_new0(CrashJournal, 1);

    journal->ops = g_array_new(false, false, sizeof(CrashOp));
    g_array_set_clear_func(journal->ops, clear_op);
    return journal;
}

void crash_journal_free(CrashJournal *journal)
{
    g_array_unref(journal->ops);
    g_free(journal);
}

static void note(CrashDisk *disk, CrashOpKind kind, const void *bytes, uint64_t offset, uint64_t size)
{
    CrashOp op = {.kind = kind,
                  .disk = disk->number,
                  .offset = offset,
                  .size = size,
                  .bytes = g_memdup2(bytes, bytes ? size : 0)};

    g_array_append_val(disk->journal->ops, op);
}

/* Whether this request is the one that goes wrong. */
static bool is_faulty(CrashDisk *disk)
{
    return g_atomic_int_add(&disk->journal->requests, 1) + 1 == (int)disk->journal->fault.at;
}

static int fault_of(CrashDisk *disk)
{
    return is_faulty(disk) ? disk->journal->fault.error : 0;
}

static ssize_t disk_read_at(BlockSource *source, void *buffer, size_t size, uint64_t offset)
{
    CrashDisk *disk = (CrashDisk *)source;
    int failure = fault_of(disk);

    if (failure != 0) {
        return failure;
    }
    memcpy(buffer, disk->buffer.bytes + offset, size);
    return size;
}

/* Gives the disk @length bytes; new ones are 0. */
static int set_length(CrashDisk *disk, uint64_t length)
{
    uint64_t before = disk->base.length;

    if (length > disk->limit) {
        return -ENOSPC;
    }
    grow(&disk->buffer, length);
    if (length > before) {
        memset(disk->buffer.bytes + before, 0, length - before);
    }
    disk->base.length = length;
    return 0;
}

static ssize_t write_part(CrashDisk *disk, const void *buffer, size_t size, uint64_t offset)
{
    int failure = offset + size > disk->base.length ? set_length(disk, offset + size) : 0;

    if (failure != 0) {
        return failure;
    }
    memcpy(disk->buffer.bytes + offset, buffer, size);
    note(disk, CRASH_WRITE, buffer, offset, size);
    return size;
}

static ssize_t disk_write_at(BlockSource *source, const void *buffer, size_t size, uint64_t offset)
{
    CrashDisk *disk = (CrashDisk *)source;
    const CrashFault *fault = &disk->journal->fault;
    size_t half = (size + 1) / 2;

    if (!is_faulty(disk)) {
        return write_part(disk, buffer, size, offset);
    }
    if (fault->error == 0) {
        return write_part(disk, buffer, half, offset);
    }
    half -= MIN(half, (offset + half) % CRASH_SECTOR);
    if (fault->half_a_write && half > 0) {
        write_part(disk, buffer, half, offset);
    }
    return fault->error;
}

static int disk_flush(BlockSource *source)
{
    CrashDisk *disk = (CrashDisk *)source;
    int failure = fault_of(disk);

    if (failure == 0) {
        note(disk, CRASH_FLUSH, NULL, 0, 0);
    }
    return failure;
}

static int disk_truncate(BlockSource *source, uint64_t length)
{
    CrashDisk *disk = (CrashDisk *)source;
    int failure = fault_of(disk);

    failure = failure ? failure : set_length(disk, length);
    if (failure == 0) {
        note(disk, CRASH_TRUNCATE, NULL, length, 0);
    }
    return failure;
}

static int disk_punch(BlockSource *source, uint64_t offset, uint64_t size)
{
    CrashDisk *disk = (CrashDisk *)source;
    int failure = fault_of(disk);

    if (failure == 0) {
        memset(disk->buffer.bytes + offset, 0, size);
        note(disk, CRASH_PUNCH, NULL, offset, size);
    }
    return failure;
}

static void disk_close(BlockSource *source)
{
    buffer_give(((CrashDisk *)source)->buffer);
    g_free(source);
}

static const BlockSourceOps disk_ops = {
    .read_at = disk_read_at,
    .write_at = disk_write_at,
    .flush = disk_flush,
    .truncate = disk_truncate,
    .punch = disk_punch,
    .close = disk_close,
};

BlockSource *crash_disk_new(CrashJournal *journal, unsigned disk, const void *bytes, size_t size, size_t limit)
{
    CrashDisk *new_disk = g_new0(CrashDisk, 1);

    g_assert_cmpuint(disk, <, CRASH_DISKS);
    *new_disk = (CrashDisk){
        .base = {.ops = &disk_ops, .length = size, .writable = true},
        .buffer = buffer_take(size),
        .limit = limit,
        .journal = journal,
        .number = disk,
    };
    if (size > 0) {
        memcpy(new_disk->buffer.bytes, bytes, size);
    }
    return &new_disk->base;
}

const uint8_t *crash_disk_bytes(const BlockSource *disk)
{
    return ((const CrashDisk *)disk)->buffer.bytes;
}
