/*
 * Reading and writing at a place of a file: see block/io/file-io.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/io/file-io.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/number.h"

#define DIRECT_BUFFER (1u << 20)

ssize_t file_io_read(int fd, void *buffer, size_t size, uint64_t offset)
{
    ssize_t n;

    do {
        n = pread(fd, buffer, size, offset);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

ssize_t file_io_write(int fd, const void *buffer, size_t size, uint64_t offset)
{
    ssize_t n;

    do {
        n = pwrite(fd, buffer, size, offset);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/* The aligned range around what is wanted, and memory for it. */
typedef struct DirectRange {
    char *bounce;
    uint64_t start;
    size_t aligned; /* bytes from start */
    size_t skip;    /* of these before what is wanted */
    size_t size;    /* of what is wanted */
} DirectRange;

static bool direct_range_init(DirectRange *range, size_t size, uint64_t offset)
{
    size_t skip = offset % FILE_IO_DIRECT_ALIGNMENT;
    size_t wanted = MIN(skip + size, DIRECT_BUFFER);
    size_t aligned = DIV_ROUND_UP(wanted, FILE_IO_DIRECT_ALIGNMENT) * FILE_IO_DIRECT_ALIGNMENT;
    void *bounce = NULL;

    if (posix_memalign(&bounce, FILE_IO_DIRECT_ALIGNMENT, aligned) != 0) {
        return false;
    }
    *range = (DirectRange){
        .bounce = bounce, .start = offset - skip, .aligned = aligned, .skip = skip, .size = wanted - skip};
    return true;
}

/* How many of the @n bytes from the start, or error, are bytes that were wanted. */
static ssize_t wanted_part(const DirectRange *range, ssize_t n)
{
    if (n < 0) {
        return n;
    }
    return (size_t)n > range->skip ? MIN((size_t)n - range->skip, range->size) : 0;
}

ssize_t file_io_read_direct(int fd, void *buffer, size_t size, uint64_t offset)
{
    DirectRange range;
    ssize_t n;

    if (!direct_range_init(&range, size, offset)) {
        return -ENOMEM;
    }
    n = wanted_part(&range, file_io_read(fd, range.bounce, range.aligned, range.start));
    if (n > 0) {
        memcpy(buffer, range.bounce + range.skip, n);
    }
    free(range.bounce);
    return n;
}

/* Writes without O_DIRECT, which the kernel keeps consistent with what is done with it. */
static ssize_t write_cached(int fd, const void *buffer, size_t size, uint64_t offset)
{
    int flags = fcntl(fd, F_GETFL);
    ssize_t n;

    if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_DIRECT) < 0) {
        return -errno;
    }
    n = file_io_write(fd, buffer, size, offset);
    return fcntl(fd, F_SETFL, flags) < 0 ? -errno : n;
}

/* Fills the buffer with what is in the file now, where not all of it is to be replaced. */
static int read_around(int fd, const DirectRange *range)
{
    ssize_t n;

    if (range->skip + range->size == range->aligned && range->skip == 0) {
        return 0;
    }
    n = file_io_read(fd, range->bounce, range->aligned, range->start);
    if (n < 0) {
        return (int)n;
    }
    return (size_t)n == range->aligned ? 0 : -EIO;
}

ssize_t file_io_write_direct(int fd, const void *buffer, size_t size, uint64_t offset, uint64_t length)
{
    DirectRange range;
    ssize_t n;

    if (!direct_range_init(&range, size, offset)) {
        return -ENOMEM;
    }
    if (range.start + range.aligned > length) {
        n = write_cached(fd, buffer, range.size, offset);
    } else {
        n = read_around(fd, &range);
        if (n == 0) {
            memcpy(range.bounce + range.skip, buffer, range.size);
            n = wanted_part(&range, file_io_write(fd, range.bounce, range.aligned, range.start));
        }
    }
    free(range.bounce);
    return n;
}
