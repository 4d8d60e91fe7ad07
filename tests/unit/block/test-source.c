/*
 * Block sources: the one in memory, and what all share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "block/source.h"

/* Reads inside the source give its bytes. */
static void test_inside(void)
{
    g_autoptr(BlockSource) source = block_source_new_memory("0123456789", 10);
    char buffer[4];

    g_assert_cmpuint(source->length, ==, 10);
    g_assert_cmpint(block_source_read(source, buffer, 4, 3), ==, 0);
    g_assert_cmpmem(buffer, 4, "3456", 4);
    g_assert_cmpint(block_source_read(source, buffer, 4, 6), ==, 0);
    g_assert_cmpmem(buffer, 4, "6789", 4);
}

/* What lies beyond the end reads as zeros (spec check-behaviour 2.7). */
static void test_beyond_end(void)
{
    g_autoptr(BlockSource) source = block_source_new_memory("0123456789", 10);
    char buffer[6];

    memset(buffer, 'x', sizeof(buffer));
    g_assert_cmpint(block_source_read(source, buffer, 6, 8), ==, 0);
    g_assert_cmpmem(buffer, 6, "89\0\0\0\0", 6);
    memset(buffer, 'x', sizeof(buffer));
    g_assert_cmpint(block_source_read(source, buffer, 6, 10), ==, 0);
    g_assert_cmpmem(buffer, 6, "\0\0\0\0\0\0", 6);
    memset(buffer, 'x', sizeof(buffer));
    g_assert_cmpint(block_source_read(source, buffer, 6, UINT64_C(1) << 62), ==, 0);
    g_assert_cmpmem(buffer, 6, "\0\0\0\0\0\0", 6);
}

/* An empty source is nothing but zeros, and reading nothing always works. */
static void test_empty(void)
{
    g_autoptr(BlockSource) source = block_source_new_memory("", 0);
    char buffer[2] = "xy";

    g_assert_cmpint(block_source_read(source, buffer, 0, 0), ==, 0);
    g_assert_cmpmem(buffer, 2, "xy", 2);
    g_assert_cmpint(block_source_read(source, buffer, 2, 0), ==, 0);
    g_assert_cmpmem(buffer, 2, "\0\0", 2);
}

/* Nothing can be read whose end lies beyond 0x7fffffffc0000000, nor where the end overflows. */
static void test_limit(void)
{
    static const struct {
        uint64_t offset;
        size_t size;
        int expected;
    } cases[] = {
        {UINT64_C(0x7fffffffbffffff8), 8, 0},    {UINT64_C(0x7fffffffc0000000), 0, 0},
        {UINT64_C(0x7fffffffbffffff9), 8, -EIO}, {UINT64_C(0x7fffffffc0000000), 1, -EIO},
        {UINT64_C(0x8000000000000000), 1, -EIO}, {UINT64_C(0xffffffffffffffff), 8, -EIO},
    };
    g_autoptr(BlockSource) source = block_source_new_memory("x", 1);
    char buffer[8];

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_assert_cmpint(block_source_read(source, buffer, cases[i].size, cases[i].offset), ==, cases[i].expected);
    }
}

/* A source that gives @step bytes at a time, and ends @missing bytes before its length. */
typedef struct SlowSource {
    BlockSource base;
    size_t step;
    uint64_t missing;
    unsigned reads;
} SlowSource;

static ssize_t slow_read_at(BlockSource *source, void *buffer, size_t size, uint64_t offset)
{
    SlowSource *slow = (SlowSource *)source;
    uint64_t end = source->length - slow->missing;
    size_t n = offset < end ? MIN(MIN(size, slow->step), end - offset) : 0;

    g_assert_cmpuint(size, >, 0);
    g_assert_cmpuint(offset + size, <=, source->length);
    slow->reads++;
    memset(buffer, 'a' + offset, n);
    return n;
}

static const BlockSourceOps slow_ops = {.read_at = slow_read_at};

/* Short reads are continued until all is there. */
static void test_short_reads(void)
{
    SlowSource slow = {.base = {.ops = &slow_ops, .length = 5}, .step = 2};
    char buffer[8];

    g_assert_cmpint(block_source_read(&slow.base, buffer, 8, 0), ==, 0);
    g_assert_cmpmem(buffer, 8, "aacce\0\0\0", 8);
    g_assert_cmpuint(slow.reads, ==, 3);
}

/* A file that became shorter after it was opened ends in zeros. */
static void test_shrunk(void)
{
    SlowSource slow = {.base = {.ops = &slow_ops, .length = 5}, .step = 8, .missing = 3};
    char buffer[5] = "xxxx";

    g_assert_cmpint(block_source_read(&slow.base, buffer, 5, 0), ==, 0);
    g_assert_cmpmem(buffer, 5, "aa\0\0\0", 5);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/source/inside", test_inside);
    g_test_add_func("/source/beyond-end", test_beyond_end);
    g_test_add_func("/source/empty", test_empty);
    g_test_add_func("/source/limit", test_limit);
    g_test_add_func("/source/short-reads", test_short_reads);
    g_test_add_func("/source/shrunk", test_shrunk);
    return g_test_run();
}
