/*
 * Writes here and there to an image on a server, and the same to a local copy, and then reads all of it back.
 *
 *     write-remote NAME COPY SEED
 *
 * Places and sizes are not aligned, ranges are punched, and there is a flush or a durable write now and then. COPY
 * becomes what the image is to be. Prints "same", or what went wrong first.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/remote.h"

#define ROUNDS   300
#define MAX_SIZE 200000 /* of a change, bytes */

static void report(const char *name, const char *message)
{
    fprintf(stderr, "%s\n", message);
}

static int fail(const char *what, int failure)
{
    printf("%s: %s\n", what, g_strerror(-failure));
    return 1;
}

/* What was punched is zeros or as it was: the copy becomes what it is. */
static bool follow_punch(BlockSource *source, char *copy, uint64_t offset, size_t size)
{
    g_autofree char *now = g_malloc(size);

    if (block_source_read(source, now, size, offset) != 0) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        if (now[i] != 0 && now[i] != copy[offset + i]) {
            return false;
        }
    }
    memcpy(copy + offset, now, size);
    return true;
}

static int change(BlockSource *source, char *copy, GRand *rand)
{
    size_t size = MIN(source->length, (uint64_t)g_rand_int_range(rand, 1, g_rand_boolean(rand) ? 600 : MAX_SIZE));
    uint64_t offset = (uint64_t)g_rand_double_range(rand, 0, (double)(source->length - size + 1));
    int failure;

    if (g_rand_int_range(rand, 0, 5) == 0) {
        failure = block_source_punch(source, offset, size);
        if (failure != 0) {
            return fail("punch", failure);
        }
        return follow_punch(source, copy, offset, size) ? 0 : fail("read after punch", -EIO);
    }
    for (size_t i = 0; i < size; i++) {
        copy[offset + i] = (uint8_t)g_rand_int(rand);
    }
    if (g_rand_int_range(rand, 0, 5) == 0) {
        failure = block_source_write_durably(source, copy + offset, size, offset);
        return failure ? fail("write", failure) : 0;
    }
    failure = block_source_write(source, copy + offset, size, offset);
    if (failure == 0 && g_rand_int_range(rand, 0, 10) == 0) {
        failure = block_source_flush(source);
        return failure ? fail("flush", failure) : 0;
    }
    return failure ? fail("write", failure) : 0;
}

static int compare(BlockSource *source, const char *copy)
{
    g_autofree char *now = g_malloc(source->length);
    int failure = block_source_read(source, now, source->length, 0);

    if (failure != 0) {
        return fail("read", failure);
    }
    puts(memcmp(now, copy, source->length) == 0 ? "same" : "different");
    return 0;
}

int main(int argc, char **argv)
{
    RemoteOptions options = {.timeout = 600, .report = report, .writable = true};
    g_autoptr(GError) error = NULL;
    g_autoptr(BlockSource) source = NULL;
    g_autoptr(GRand) rand = g_rand_new_with_seed(atoi(argv[3]));
    g_autofree char *copy = NULL;
    gsize size;
    int failure;

    signal(SIGPIPE, SIG_IGN);
    source = block_source_open_nbd(argv[1], &options, &error);
    if (!source || !g_file_get_contents(argv[2], &copy, &size, &error)) {
        printf("%s\n", error->message);
        return 1;
    }
    copy = g_realloc(copy, source->length); /* the server may round the length up */
    memset(copy + size, 0, source->length - size);
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (change(source, copy, rand) != 0) {
            return 1;
        }
    }
    if (block_source_write(source, "xy", 2, source->length - 1) != -ENOSPC ||
        block_source_truncate(source, source->length + 1) != -ENOTSUP) {
        return fail("the length is not fixed", 0);
    }
    failure = block_source_flush(source);
    if (failure != 0) {
        return fail("flush", failure);
    }
    return compare(source, copy) || !g_file_set_contents(argv[2], copy, source->length, NULL);
}
