/*
 * The floor below any check: the time in which the bytes of some ranges of a file can merely be read.
 *
 *     floor FILE < RANGES
 *
 * RANGES has a line "OFFSET SIZE" (bytes) for each range. They are sorted and merged, so that each byte is read
 * once, with reads of at most 1 MiB, one after the other. Prints a JSON object: bytes, reads, and seconds for
 * opening the file and reading.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ranges.h"

#define READ_SIZE (UINT64_C(1) << 20)

typedef struct Reading {
    uint64_t bytes;
    uint64_t reads;
    double seconds;
} Reading;

static void read_range(int fd, const Range *range, void *buffer, Reading *sum)
{
    uint64_t offset = range->start;

    while (offset < range->end) {
        ssize_t n = pread(fd, buffer, MIN(READ_SIZE, range->end - offset), offset);

        if (n < 0) {
            perror("floor");
            exit(EXIT_FAILURE);
        }
        if (n == 0) {
            return; /* the end of the file, which may cut a table short */
        }
        offset += n;
        sum->bytes += n;
        sum->reads++;
    }
}

static Reading read_all(const char *path, const GArray *ranges)
{
    g_autofree void *buffer = g_malloc0(READ_SIZE);
    gint64 start = g_get_monotonic_time();
    Reading sum = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    for (guint i = 0; i < ranges->len; i++) {
        read_range(fd, &g_array_index(ranges, Range, i), buffer, &sum);
    }
    close(fd);
    sum.seconds = (double)(g_get_monotonic_time() - start) / 1e6;
    return sum;
}

int main(int argc, char **argv)
{
    g_autoptr(GArray) ranges = NULL;
    Reading sum;

    if (argc != 2) {
        fprintf(stderr, "usage: floor FILE < RANGES\n");
        return EXIT_FAILURE;
    }
    ranges = ranges_read(stdin);
    sum = read_all(argv[1], ranges);
    printf("{\"bytes\": %" PRIu64 ", \"reads\": %" PRIu64 ", \"seconds\": %.6f}\n", sum.bytes, sum.reads, sum.seconds);
    return EXIT_SUCCESS;
}
