/*
 * Overlays: what is written over a source that stays as it is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/io/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

#define LENGTH 20000 /* bytes of the source below, in five pages of which the last is not whole */
#define LIMIT  (1u << 20)

static void fill(uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        bytes[i] = g_test_rand_int();
    }
}

static void assert_same(BlockSource *a, BlockSource *b)
{
    g_autofree uint8_t *x = g_malloc(a->length + 100), *y = g_malloc(a->length + 100);

    g_assert_cmpuint(a->length, ==, b->length);
    g_assert_cmpint(block_source_read(a, x, a->length + 100, 0), ==, 0);
    g_assert_cmpint(block_source_read(b, y, a->length + 100, 0), ==, 0);
    g_assert_cmpmem(x, a->length + 100, y, a->length + 100);
}

/* Whatever is written and cut off, an overlay has the bytes that a source in memory has, and changes nothing below. */
static void test_like_memory(void)
{
    uint8_t original[LENGTH], bytes[9000];
    g_autoptr(BlockSource) base = NULL, overlay = NULL, memory = NULL;

    fill(original, LENGTH);
    base = block_source_new_memory(original, LENGTH);
    overlay = block_source_new_overlay(base, LIMIT);
    memory = block_source_new_writable_memory(original, LENGTH, LIMIT);
    for (unsigned i = 0; i < 300; i++) {
        size_t size = g_test_rand_int_range(1, sizeof(bytes));
        uint64_t offset = g_test_rand_int_range(0, 2 * LENGTH);

        if (i % 5 == 0) {
            g_assert_cmpint(block_source_truncate(overlay, offset), ==, 0);
            g_assert_cmpint(block_source_truncate(memory, offset), ==, 0);
        } else {
            fill(bytes, size);
            g_assert_cmpint(block_source_write(overlay, bytes, size, offset), ==, 0);
            g_assert_cmpint(block_source_write(memory, bytes, size, offset), ==, 0);
        }
        assert_same(overlay, memory);
    }
    g_assert_cmpint(block_source_flush(overlay), ==, 0);
    g_assert_cmpuint(base->length, ==, LENGTH);
}

/* As a repair copies: by reading and writing where the source has nothing better. */
static int copy(BlockSource *source, uint64_t from, uint64_t offset, size_t size)
{
    g_autofree uint8_t *bytes = g_malloc(size);
    int failure = block_source_copy(source, from, offset, size);

    if (failure != -EOPNOTSUPP) {
        return failure;
    }
    g_assert_cmpint(block_source_read(source, bytes, size, from), ==, 0);
    return block_source_write(source, bytes, size, offset);
}

/* Whatever is written, copied and cut off, an overlay has the bytes that a source in memory has. */
static void test_copies_like_memory(void)
{
    uint8_t original[LENGTH], bytes[9000];
    g_autoptr(BlockSource) base = NULL;

    fill(original, LENGTH);
    base = block_source_new_memory(original, LENGTH);
    for (unsigned i = 0; i < 40; i++) {
        g_autoptr(BlockSource) overlay = block_source_new_overlay(base, LIMIT);
        g_autoptr(BlockSource) memory = block_source_new_writable_memory(original, LENGTH, LIMIT);

        for (unsigned j = 0; j < 20; j++) {
            size_t size = g_test_rand_int_range(1, sizeof(bytes));
            uint64_t from = g_test_rand_int_range(0, LENGTH);
            uint64_t offset = g_test_rand_int_range(0, 2 * LENGTH);

            if (j % 3) {
                offset = overlay->length + g_test_rand_int_range(0, 3000); /* the usual place of a copy */
            }
            if (j % 7 == 6) {
                g_assert_cmpint(block_source_truncate(overlay, offset), ==, 0);
                g_assert_cmpint(block_source_truncate(memory, offset), ==, 0);
            } else if (j % 5 == 4) {
                fill(bytes, size);
                g_assert_cmpint(block_source_write(overlay, bytes, size, offset), ==, 0);
                g_assert_cmpint(block_source_write(memory, bytes, size, offset), ==, 0);
            } else {
                g_assert_cmpint(block_source_read(memory, bytes, size, from), ==, 0);
                g_assert_cmpint(block_source_write(memory, bytes, size, offset), ==, 0);
                g_assert_cmpint(copy(overlay, from, offset, size), ==, 0);
            }
            assert_same(overlay, memory);
        }
    }
}

/* Copies of what the source below has need no memory, however large they are. */
static void test_copies_not_kept(void)
{
    uint8_t original[LENGTH], bytes[LENGTH];
    g_autoptr(BlockSource) base = NULL, overlay = NULL;

    fill(original, LENGTH);
    base = block_source_new_memory(original, LENGTH);
    overlay = block_source_new_overlay(base, 0);
    for (unsigned i = 1; i < 10; i++) {
        g_assert_cmpint(block_source_copy(overlay, 0, i * LENGTH, LENGTH), ==, 0);
    }
    g_assert_cmpint(block_source_read(overlay, bytes, LENGTH, 9 * LENGTH), ==, 0);
    g_assert_cmpmem(bytes, LENGTH, original, LENGTH);
    g_assert_cmpint(block_source_write(overlay, bytes, 1, 0), ==, -ENOMEM);
}

/* It keeps no more than it may. */
static void test_limit(void)
{
    static const uint8_t zeros[3 * 4096];
    g_autoptr(BlockSource) base = block_source_new_memory("", 0);
    g_autoptr(BlockSource) overlay = block_source_new_overlay(base, 2 * 4096);

    g_assert_cmpint(block_source_write(overlay, zeros, 2 * 4096, 0), ==, 0);
    g_assert_cmpint(block_source_write(overlay, zeros, 4096, 0), ==, 0); /* there already */
    g_assert_cmpint(block_source_write(overlay, zeros, 3 * 4096, 0), ==, -ENOMEM);
}

/* Where the source below cannot grow, nor can the overlay. */
static void test_fixed_length(void)
{
    g_autoptr(BlockSource) base = block_source_new_memory("0123", 4);
    g_autoptr(BlockSource) overlay = NULL;

    base->fixed_length = true;
    overlay = block_source_new_overlay(base, LIMIT);
    g_assert_cmpint(block_source_write(overlay, "x", 1, 3), ==, 0);
    g_assert_cmpint(block_source_write(overlay, "x", 1, 4), ==, -ENOSPC);
    g_assert_cmpint(block_source_truncate(overlay, 2), ==, -ENOTSUP);
}

/* A hole of the file is a hole of the overlay until something is written there. */
static void test_holes(void)
{
    g_autofree char *name = NULL;
    int fd = g_file_open_tmp("overlay-XXXXXX", &name, NULL);
    FileOptions options = {.no_locking = true};
    g_autoptr(BlockSource) base = NULL, overlay = NULL;

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(ftruncate(fd, 1 << 20), ==, 0);
    g_assert_cmpint(pwrite(fd, "data", 4, 512 << 10), ==, 4);
    close(fd);
    base = block_source_open_file(name, &options, NULL);
    g_assert_nonnull(base);
    overlay = block_source_new_overlay(base, LIMIT);
    if (block_source_is_hole(base, 0, 8192)) { /* not every file system has them */
        g_assert_true(block_source_is_hole(overlay, 0, 8192));
        g_assert_cmpint(block_source_write(overlay, "x", 1, 8192), ==, 0);
        g_assert_true(block_source_is_hole(overlay, 0, 8192));
        g_assert_false(block_source_is_hole(overlay, 0, 8193));
        g_assert_true(block_source_is_hole(overlay, 12288, 4096));
        g_assert_cmpuint(overlay->ops->next_hole(overlay, 8192), ==, 12288);
        g_assert_false(block_source_is_hole(overlay, 512 << 10, 4));
        g_assert_cmpint(block_source_truncate(overlay, 256 << 10), ==, 0);
        g_assert_cmpint(block_source_truncate(overlay, 1 << 20), ==, 0);
        g_assert_true(block_source_is_hole(overlay, 512 << 10, 4));
    }
    g_unlink(name);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/overlay/like-memory", test_like_memory);
    g_test_add_func("/overlay/copies-like-memory", test_copies_like_memory);
    g_test_add_func("/overlay/copies-not-kept", test_copies_not_kept);
    g_test_add_func("/overlay/limit", test_limit);
    g_test_add_func("/overlay/fixed-length", test_fixed_length);
    g_test_add_func("/overlay/holes", test_holes);
    return g_test_run();
}
