/*
 * The floor below any check of a file that is not in memory: its metadata read from the device, past the page cache.
 *
 *     floor-direct FILE IN-FLIGHT < RANGES
 *
 * As floor.c, but with O_DIRECT, and with IN-FLIGHT reads of at most 256 KiB in flight, in the order of the file. What
 * is no multiple of a page is read with the pages around it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>

#include "ranges.h"

#define READ_SIZE     (UINT64_C(256) << 10)
#define PAGE          UINT64_C(4096)
#define MAX_IN_FLIGHT 1024

static void fail(const char *what, int error)
{
    fprintf(stderr, "floor-direct: %s: %s\n", what, strerror(error));
    exit(EXIT_FAILURE);
}

/* Starts reading @piece into @buffer. */
static void start(struct io_uring *ring, int fd, Range piece, void *buffer)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
    uint64_t from = piece.start / PAGE * PAGE;

    io_uring_prep_read(sqe, fd, buffer, (unsigned)((piece.end - from + PAGE - 1) / PAGE * PAGE), from);
    io_uring_sqe_set_data(sqe, buffer);
}

/* The buffer of a read that is complete. */
static void *finish(struct io_uring *ring)
{
    struct io_uring_cqe *cqe = NULL;
    void *buffer;
    int error = io_uring_submit_and_wait(ring, 1);

    error = error < 0 ? error : io_uring_wait_cqe(ring, &cqe);
    if (error < 0 || cqe->res < 0) {
        fail("reading", error < 0 ? -error : -cqe->res);
    }
    buffer = io_uring_cqe_get_data(cqe);
    io_uring_cqe_seen(ring, cqe);
    return buffer;
}

static uint64_t read_all(struct io_uring *ring, int fd, const GArray *pieces, GQueue *buffers)
{
    guint in_flight = 0, next = 0;
    uint64_t bytes = 0;

    while (next < pieces->len || in_flight) {
        while (next < pieces->len && !g_queue_is_empty(buffers)) {
            Range piece = g_array_index(pieces, Range, next++);

            start(ring, fd, piece, g_queue_pop_head(buffers));
            bytes += piece.end - piece.start;
            in_flight++;
        }
        g_queue_push_head(buffers, finish(ring));
        in_flight--;
    }
    return bytes;
}

int main(int argc, char **argv)
{
    struct io_uring ring;
    GQueue buffers = G_QUEUE_INIT;
    g_autoptr(GArray) ranges = NULL;
    g_autoptr(GArray) pieces = NULL;
    unsigned in_flight = argc == 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    uint64_t bytes;
    gint64 begin;
    int fd;

    if (in_flight < 1 || in_flight > MAX_IN_FLIGHT) {
        fprintf(stderr, "usage: floor-direct FILE IN-FLIGHT < RANGES\n");
        return EXIT_FAILURE;
    }
    ranges = ranges_read(stdin);
    pieces = ranges_cut(ranges, READ_SIZE);
    begin = g_get_monotonic_time();
    fd = open(argv[1], O_RDONLY | O_CLOEXEC | O_DIRECT);
    if (fd < 0) {
        fail(argv[1], errno);
    }
    if (io_uring_queue_init(in_flight, &ring, 0) < 0) {
        fail("io_uring", ENOSYS);
    }
    for (unsigned i = 0; i < in_flight; i++) {
        g_queue_push_head(&buffers, g_aligned_alloc(1, READ_SIZE + 2 * PAGE, PAGE));
    }
    bytes = read_all(&ring, fd, pieces, &buffers);
    printf("{\"bytes\": %" PRIu64 ", \"reads\": %u, \"seconds\": %.6f}\n", bytes, pieces->len,
           (double)(g_get_monotonic_time() - begin) / 1e6);
    g_queue_clear_full(&buffers, g_aligned_free);
    io_uring_queue_exit(&ring);
    return EXIT_SUCCESS;
}
