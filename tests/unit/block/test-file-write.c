/*
 * Writing to files: with and without O_DIRECT, at all places and sizes; locks of a repair.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/source.h"

#define SIZE 20000

typedef struct Fixture {
    char *path;
    uint8_t bytes[2 * SIZE]; /* what the file should contain */
    size_t size;
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
    f->size = SIZE;
    for (size_t i = 0; i < f->size; i++) {
        f->bytes[i] = (uint8_t)(i / 7);
    }
    f->path = g_strdup("file-write-XXXXXX"); /* not in /tmp, which may have no O_DIRECT */
    close(g_mkstemp(f->path));
    g_assert_true(g_file_set_contents(f->path, (const char *)f->bytes, f->size, NULL));
}

static void tear_down(Fixture *f, gconstpointer data)
{
    g_unlink(f->path);
    g_free(f->path);
}

static void assert_content(const Fixture *f)
{
    g_autofree char *content = NULL;
    size_t size;

    g_assert_true(g_file_get_contents(f->path, &content, &size, NULL));
    g_assert_cmpmem(content, (int)size, f->bytes, (int)f->size);
}

/* What is written is what the file then has, wherever it begins and ends; nothing beside it changes. */
static void test_places(Fixture *f, gconstpointer options)
{
    static const struct {
        size_t offset, size;
    } cases[] = {
        {0, 4096},     {4096, 8192},          {1, 1},         {4095, 2},          {100, 12000},
        {SIZE - 1, 1}, {16384, SIZE - 16384}, {SIZE - 3, 10}, {SIZE + 100, 5000},
    };
    g_autoptr(GError) error = NULL;
    g_autoptr(BlockSource) source = block_source_open_file(f->path, options, &error);
    uint8_t pattern[2 * SIZE], back[2 * SIZE];

    if (g_error_matches(error, BLOCK_ERROR, EINVAL)) {
        g_test_skip("no O_DIRECT here");
        return;
    }
    g_assert_no_error(error);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        memset(pattern, 0x80 + (int)i, cases[i].size);
        memset(f->bytes + cases[i].offset, 0x80 + (int)i, cases[i].size);
        f->size = MAX(f->size, cases[i].offset + cases[i].size);
        g_assert_cmpint(block_source_write(source, pattern, cases[i].size, cases[i].offset), ==, 0);
        g_assert_cmpuint(source->length, ==, f->size);
        g_assert_cmpint(block_source_read(source, back, f->size, 0), ==, 0);
        g_assert_cmpmem(back, (int)f->size, f->bytes, (int)f->size);
    }
    g_assert_cmpint(block_source_flush(source), ==, 0);
    assert_content(f);
}

/* A file is made longer and shorter, and holes in it read as zeros or as before. */
static void test_shape(Fixture *f, gconstpointer options)
{
    g_autoptr(BlockSource) source = block_source_open_file(f->path, &(FileOptions){.writable = true}, NULL);
    uint8_t hole[4096];

    g_assert_cmpint(block_source_truncate(source, SIZE + 1000), ==, 0);
    f->size = SIZE + 1000;
    assert_content(f);
    g_assert_cmpint(block_source_truncate(source, 10000), ==, 0);
    f->size = 10000;
    assert_content(f);
    g_assert_cmpint(block_source_punch(source, 4096, 4096), ==, 0);
    g_assert_cmpint(block_source_read(source, hole, 4096, 4096), ==, 0);
    if (hole[100] == 0) {
        memset(f->bytes + 4096, 0, 4096);
    }
    assert_content(f);
}

/* A lock that another open file has on byte @byte; closed to end it. */
static int hold(const char *path, int byte)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    int fd = g_open(path, O_RDWR | O_CLOEXEC, 0);

    g_assert_cmpint(fcntl(fd, F_OFD_SETLK, &lock), ==, 0);
    return fd;
}

/* What others hold is in the way of a repair, in the stock tool's words (docs/interop/check-behaviour.rst 2.8). */
static void test_locks(Fixture *f, gconstpointer data)
{
    static const struct {
        int byte;
        const char *wish; /* NULL: no obstacle */
    } cases[] = {
        {100, NULL},
        {101, "shared \"write\""},
        {102, NULL},
        {103, "shared \"resize\""},
        {200, "\"consistent read\""},
        {201, "\"write\""},
        {202, NULL},
        {203, "\"resize\""},
    };
    FileOptions repair = {.writable = true};

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        int other = hold(f->path, cases[i].byte);
        g_autoptr(BlockSource) source = block_source_open_file(f->path, &repair, &error);
        g_autofree char *expected =
            g_strdup_printf("Failed to get %s lock\nIs another process using the image [%s]?", cases[i].wish, f->path);

        if (cases[i].wish) {
            g_assert_null(source);
            g_assert_cmpstr(error->message, ==, expected);
        } else {
            g_assert_no_error(error);
        }
        close(other);
    }
}

/* Neither a check nor a second repair starts while an image is being repaired; a check that shares does. */
static void test_exclusive(Fixture *f, gconstpointer data)
{
    g_autoptr(BlockSource) repair = block_source_open_file(f->path, &(FileOptions){.writable = true}, NULL);
    g_autoptr(BlockSource) shared = block_source_open_file(f->path, &(FileOptions){.force_share = true}, NULL);

    g_assert_nonnull(repair);
    g_assert_nonnull(shared);
    g_assert_null(block_source_open_file(f->path, &(FileOptions){.writable = true}, NULL));
    g_assert_null(block_source_open_file(f->path, &(FileOptions){0}, NULL));
    g_assert_null(block_source_open_file(f->path, &(FileOptions){.writable = true, .force_share = true}, NULL));
}

int main(int argc, char **argv)
{
    static const FileOptions plain = {.writable = true}, direct = {.writable = true, .direct = true, .sync = true};

    g_test_init(&argc, &argv, NULL);
    g_test_add("/file-write/places", Fixture, &plain, set_up, test_places, tear_down);
    g_test_add("/file-write/places-direct", Fixture, &direct, set_up, test_places, tear_down);
    g_test_add("/file-write/shape", Fixture, NULL, set_up, test_shape, tear_down);
    g_test_add("/file-write/locks", Fixture, NULL, set_up, test_locks, tear_down);
    g_test_add("/file-write/exclusive", Fixture, NULL, set_up, test_exclusive, tear_down);
    return g_test_run();
}
