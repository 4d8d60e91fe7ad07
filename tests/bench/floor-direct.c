/*
 * The floor below any check of a file that is not in memory: floor-queue.h with O_DIRECT.
 *
 * What is no multiple of a page is read with the pages around it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <string.h>
#include <unistd.h>

#include "floor-queue.h"

static struct io_uring ring;
static int fd;

static void open_file(const char *path, unsigned in_flight)
{
    fd = open(path, O_RDONLY | O_CLOEXEC | O_DIRECT);
    if (fd < 0) {
        floor_fail(path, strerror(errno));
    }
    if (io_uring_queue_init(in_flight, &ring, 0) < 0) {
        floor_fail("io_uring", strerror(ENOSYS));
    }
}

static void start(Range piece, void *buffer)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    uint64_t from = piece.start / FLOOR_PAGE * FLOOR_PAGE;
    uint64_t to = (piece.end + FLOOR_PAGE - 1) / FLOOR_PAGE * FLOOR_PAGE;

    io_uring_prep_read(sqe, fd, buffer, (unsigned)(to - from), from);
    io_uring_sqe_set_data(sqe, buffer);
}

static void wait_for_read(void)
{
    struct io_uring_cqe *cqe = NULL;
    int error = io_uring_submit_and_wait(&ring, 1);

    error = error < 0 ? error : io_uring_wait_cqe(&ring, &cqe);
    if (error < 0 || cqe->res < 0) {
        floor_fail("reading", strerror(error < 0 ? -error : -cqe->res));
    }
    floor_read_done(io_uring_cqe_get_data(cqe));
    io_uring_cqe_seen(&ring, cqe);
}

static void close_file(void)
{
    io_uring_queue_exit(&ring);
    close(fd);
}

int main(int argc, char **argv)
{
    static const FloorDevice direct = {open_file, start, wait_for_read, close_file};

    return floor_main(argc, argv, &direct);
}
