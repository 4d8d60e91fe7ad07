/*
 * A reader for files, over io_uring.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/io/file-reader.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "config.h"

#ifdef CONFIG_LIBURING
#include <liburing.h>
#endif

#define RING_ENTRIES  256
#define MAX_TRIES     1000
#define LOOK_INTERVAL 1000 /* microseconds */

typedef struct FileReader {
    BlockReader base;
    int fd;
    bool try_cache;          /* the kernel can tell what the page cache has */
    FileReaderKind how;      /* for what the cache does not have */
    pthread_mutex_t *stream; /* NULL: any number of reads at once */
    BlockReader *threads;    /* made when first needed */
#ifdef CONFIG_LIBURING
    struct io_uring ring;
    bool has_ring;                       /* likewise */
    BlockRequest *in_ring[RING_ENTRIES]; /* in the order in which they were put there */
    unsigned n_in_ring;
    bool broken;        /* it is never asked again */
    unsigned in_kernel; /* of those in the ring, once it is broken */
#endif
} FileReader;

/* Reads what the page cache has of @request, without waiting for a device; returns the bytes, 0 where it has none. */
static size_t read_cached(FileReader *r, const BlockRequest *request)
{
    struct iovec iov = {.iov_base = request->buffer, .iov_len = request->size};
    ssize_t n = r->try_cache ? preadv2(r->fd, &iov, 1, request->offset, RWF_NOWAIT) : 0;

    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        r->try_cache = false; /* not on this file system */
    }
    return n > 0 ? n : 0;
}

#ifdef CONFIG_LIBURING
static bool need_ring(FileReader *r)
{
    if (!r->has_ring) {
        r->has_ring = io_uring_queue_init(RING_ENTRIES, &r->ring, 0) == 0;
    }
    return r->has_ring;
}

static bool ring_submit(FileReader *r, BlockRequest *request)
{
    struct io_uring_sqe *sqe = need_ring(r) ? io_uring_get_sqe(&r->ring) : NULL;

    if (!sqe) {
        return false;
    }
    io_uring_prep_read(sqe, r->fd, request->buffer, (unsigned)request->size, request->offset);
    io_uring_sqe_set_data(sqe, request);
    r->in_ring[r->n_in_ring++] = request;
    /* not submitted is not lost: the next call takes it along, or wait does */
    io_uring_submit(&r->ring);
    return true;
}

static BlockRequest *take_from_ring(FileReader *r, unsigned i)
{
    BlockRequest *request = r->in_ring[i];

    memmove(r->in_ring + i, r->in_ring + i + 1, (--r->n_in_ring - i) * sizeof(*r->in_ring));
    return request;
}

/* Returns true if the kernel may take requests later; @tries counts how often it did not. */
static bool is_passing(int error, unsigned *tries)
{
    if (error == -EAGAIN || error == -EBUSY) {
        g_usleep(LOOK_INTERVAL);
        return ++*tries < MAX_TRIES;
    }
    return error == -EINTR;
}

/* The kernel takes no more requests. What it has taken it completes, and there is no other way to learn of it. */
static struct io_uring_cqe *look_for_completion(FileReader *r)
{
    struct io_uring_cqe *cqe;

    while (r->in_kernel) {
        if (io_uring_peek_cqe(&r->ring, &cqe) == 0) {
            r->in_kernel--;
            return cqe;
        }
        g_usleep(LOOK_INTERVAL);
    }
    return NULL;
}

/* Waits for a completion; NULL where none of the requests that are left has reached the kernel, nor ever will. */
static struct io_uring_cqe *wait_for_completion(FileReader *r)
{
    struct io_uring_cqe *cqe;
    unsigned tries = 0;
    int error;

    if (r->broken) {
        return look_for_completion(r);
    }
    do {
        error = io_uring_submit_and_wait(&r->ring, 1);
        if (error >= 0) {
            error = io_uring_wait_cqe(&r->ring, &cqe);
        }
    } while (is_passing(error, &tries));
    if (error >= 0) {
        return cqe;
    }
    r->broken = true;
    r->how = FILE_READER_INLINE;
    r->in_kernel = r->n_in_ring - io_uring_sq_ready(&r->ring);
    return look_for_completion(r);
}

static BlockRequest *ring_wait(FileReader *r)
{
    struct io_uring_cqe *cqe = wait_for_completion(r);
    BlockRequest *request;
    unsigned i = 0;

    if (!cqe) {
        request = take_from_ring(r, 0);
        block_request_finish(r->base.source, request, 0);
        return request;
    }
    while (r->in_ring[i] != io_uring_cqe_get_data(cqe)) {
        i++;
    }
    request = take_from_ring(r, i);
    if (cqe->res < 0) {
        request->error = cqe->res;
    } else {
        block_request_finish(r->base.source, request, cqe->res); /* short reads happen */
    }
    io_uring_cqe_seen(&r->ring, cqe);
    return request;
}
#endif

static void name_reader(FileReader *r, const char *name)
{
    if (name) {
        __atomic_store_n(&r->base.source->reader, name, __ATOMIC_RELAXED);
    }
}

/* Reads what is missing behind the first @cached bytes. Where a part was cached, the rest is on its way already. */
static void read_inline(FileReader *r, BlockRequest *request, size_t cached)
{
    bool alone = r->stream && cached < request->size;

    if (alone) {
        pthread_mutex_lock(r->stream);
    }
    block_request_finish(r->base.source, request, cached);
    if (alone) {
        pthread_mutex_unlock(r->stream);
    }
}

/* Returns true if the kernel can read straight to the buffer. */
static bool is_aligned(const BlockSource *source, const BlockRequest *request)
{
    uint32_t alignment = source->alignment;

    return alignment == 0 || (request->offset % alignment == 0 && request->size % alignment == 0 &&
                              (uintptr_t)request->buffer % alignment == 0);
}

static bool file_submit(BlockReader *base, BlockRequest *request)
{
    FileReader *r = (FileReader *)base;
    size_t cached = read_cached(r, request);

    if (cached || r->how == FILE_READER_INLINE || !is_aligned(base->source, request)) {
        name_reader(r, cached ? NULL : "inline");
        read_inline(r, request, cached);
        return true;
    }
#ifdef CONFIG_LIBURING
    if (r->how != FILE_READER_THREADS && ring_submit(r, request)) {
        name_reader(r, "io_uring");
        return false;
    }
#endif
    if (r->how != FILE_READER_IO_URING && !r->threads) {
        r->threads = thread_reader_new(base->source);
    }
    if (r->threads) {
        r->how = FILE_READER_THREADS;
        name_reader(r, "threads");
        return r->threads->ops->submit(r->threads, request);
    }
    r->how = FILE_READER_INLINE;
    name_reader(r, "inline");
    read_inline(r, request, 0);
    return true;
}

static BlockRequest *file_wait(BlockReader *base)
{
    FileReader *r = (FileReader *)base;

#ifdef CONFIG_LIBURING
    if (!r->threads) {
        return ring_wait(r);
    }
#endif
    return r->threads->ops->wait(r->threads);
}

static void file_reader_close(BlockReader *base)
{
    FileReader *r = (FileReader *)base;

#ifdef CONFIG_LIBURING
    if (r->has_ring) {
        io_uring_queue_exit(&r->ring);
    }
#endif
    block_reader_free(r->threads);
    g_free(r);
}

static const BlockReaderOps file_reader_ops = {
    .submit = file_submit,
    .wait = file_wait,
    .close = file_reader_close,
};

BlockReader *file_reader_new(BlockSource *source, int fd, FileReaderKind how, pthread_mutex_t *stream)
{
    FileReader *r = g_new0(FileReader, 1);

    r->base = (BlockReader){.ops = &file_reader_ops, .source = source, .max_in_flight = RING_ENTRIES / 2};
    r->fd = fd;
    r->try_cache = !source->alignment; /* O_DIRECT goes past it */
    r->how = stream ? FILE_READER_INLINE : how;
    r->stream = stream;
    return &r->base;
}
