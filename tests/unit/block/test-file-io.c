/*
 * Reading and writing a file when the system's answer is not what one hopes for: interrupted, short, an error.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "block/io/file-io.h"

#define LENGTH 8192u /* of the file, bytes */

/* What the next calls answer: a number of bytes, or a negative errno value; 0 is the end of the list. */
static int answers[4];
static unsigned answered;

static void next_answers(int first, int second)
{
    answers[0] = first;
    answers[1] = second;
    answered = 0;
}

/* The size that a call is to have, or -1 with errno set. @size where no answer is prepared. */
static ssize_t answer(size_t size)
{
    int given = answers[answered];

    answered += given != 0;
    if (given < 0) {
        errno = -given;
        return -1;
    }
    return given ? (ssize_t)MIN((size_t)given, size) : (ssize_t)size;
}

/* In the place of the C library's functions, which are called by these names for files of any length. */
ssize_t pread64(int fd, void *buffer, size_t size, off64_t offset)
{
    ssize_t allowed = answer(size);

    return allowed < 0 ? -1 : syscall(SYS_pread64, fd, buffer, allowed, offset);
}

ssize_t pwrite64(int fd, const void *buffer, size_t size, off64_t offset)
{
    ssize_t allowed = answer(size);

    return allowed < 0 ? -1 : syscall(SYS_pwrite64, fd, buffer, allowed, offset);
}

typedef struct Fixture {
    int fd;
    char *path;
    char bytes[LENGTH];
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
    next_answers(0, 0);
    for (size_t i = 0; i < LENGTH; i++) {
        f->bytes[i] = (uint8_t)(i * 7 + i / 256);
    }
    f->fd = g_file_open_tmp("file-io-XXXXXX", &f->path, NULL);
    g_assert_cmpint(f->fd, >=, 0);
    g_assert_cmpint(pwrite64(f->fd, f->bytes, LENGTH, 0), ==, LENGTH);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    close(f->fd);
    g_unlink(f->path);
    g_free(f->path);
}

/* A signal in the middle is no error. */
static void test_interrupted(Fixture *f, gconstpointer data)
{
    char buffer[512];

    next_answers(-EINTR, -EINTR);
    g_assert_cmpint(file_io_read(f->fd, buffer, sizeof(buffer), 100), ==, sizeof(buffer));
    g_assert_cmpmem(buffer, sizeof(buffer), f->bytes + 100, sizeof(buffer));
    next_answers(-EINTR, 0);
    g_assert_cmpint(file_io_write(f->fd, buffer, sizeof(buffer), 200), ==, sizeof(buffer));
    g_assert_cmpuint(answered, ==, 1);
}

static void test_errors(Fixture *f, gconstpointer data)
{
    char buffer[512] = "";

    next_answers(-EIO, 0);
    g_assert_cmpint(file_io_read(f->fd, buffer, sizeof(buffer), 0), ==, -EIO);
    next_answers(-ENOSPC, 0);
    g_assert_cmpint(file_io_write(f->fd, buffer, sizeof(buffer), 0), ==, -ENOSPC);
    next_answers(-EIO, 0);
    g_assert_cmpint(file_io_read_direct(f->fd, buffer, sizeof(buffer), 100), ==, -EIO);
    /* what is around has to be read first; then it has to be written; at the end of the file the cache is used */
    next_answers(-EIO, 0);
    g_assert_cmpint(file_io_write_direct(f->fd, buffer, sizeof(buffer), 100, LENGTH), ==, -EIO);
    next_answers(LENGTH, -ENOSPC);
    g_assert_cmpint(file_io_write_direct(f->fd, buffer, sizeof(buffer), 100, LENGTH), ==, -ENOSPC);
    next_answers(-EFBIG, 0);
    g_assert_cmpint(file_io_write_direct(f->fd, buffer, sizeof(buffer), LENGTH, LENGTH), ==, -EFBIG);
    g_assert_cmpint(file_io_write_direct(-1, buffer, sizeof(buffer), LENGTH, LENGTH), ==, -EBADF);
}

/* Of an aligned range that is read or written in part, the caller hears only what was wanted of it. */
static void test_short(Fixture *f, gconstpointer data)
{
    char buffer[512];

    memset(buffer, 'x', sizeof(buffer));
    next_answers(300, 0);
    g_assert_cmpint(file_io_read_direct(f->fd, buffer, sizeof(buffer), 100), ==, 200);
    g_assert_cmpmem(buffer, 200, f->bytes + 100, 200);
    next_answers(100, 0);
    g_assert_cmpint(file_io_read_direct(f->fd, buffer, sizeof(buffer), 100), ==, 0);
    next_answers(LENGTH, 300);
    g_assert_cmpint(file_io_write_direct(f->fd, buffer, sizeof(buffer), 100, LENGTH), ==, 200);
    /* a file that has become shorter: nothing is known of what is around */
    next_answers(300, 0);
    g_assert_cmpint(file_io_write_direct(f->fd, buffer, sizeof(buffer), 100, LENGTH), ==, -EIO);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/file-io/interrupted", Fixture, NULL, set_up, test_interrupted, tear_down);
    g_test_add("/file-io/errors", Fixture, NULL, set_up, test_errors, tear_down);
    g_test_add("/file-io/short", Fixture, NULL, set_up, test_short, tear_down);
    return g_test_run();
}
