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

/* What lies beyond the end reads as zeros (docs/interop/check-behaviour.rst 2.7). */
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
    memset(buffer, 'a' + (int)offset, n);
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

/* A window has the bytes of its part, and zeros behind them, whatever lies there. */
static void test_window_reads(void)
{
    g_autoptr(BlockSource) window = block_source_new_window(block_source_new_memory("0123456789", 10), 3, 4);
    g_autoptr(BlockReader) reader = block_reader_new(window);
    char buffer[6];
    BlockRequest request = {.offset = 1, .size = 3, .buffer = buffer};

    g_assert_cmpuint(window->length, ==, 4);
    g_assert_cmpint(block_source_read(window, buffer, 6, 2), ==, 0);
    g_assert_cmpmem(buffer, 6, "56\0\0\0\0", 6);
    g_assert_true(block_reader_submit(reader, &request));
    g_assert_cmpint(request.error, ==, 0);
    g_assert_cmpuint(request.offset, ==, 1);
    g_assert_cmpmem(buffer, 3, "456", 3);
}

/* Writing to a window changes its part alone, and what lies behind is no room. */
static void test_window_writes(void)
{
    BlockSource *whole = block_source_new_writable_memory("0123456789", 10, 20);
    g_autoptr(BlockSource) window = block_source_new_window(whole, 3, 4);

    g_assert_cmpint(block_source_write(window, "ab", 2, 2), ==, 0);
    g_assert_cmpint(block_source_write(window, "cd", 2, 3), ==, -ENOSPC);
    g_assert_cmpint(block_source_truncate(window, 5), ==, -ENOSPC);
    g_assert_cmpint(block_source_flush(window), ==, 0);
    g_assert_cmpmem(block_source_memory_bytes(whole), (int)whole->length, "01234ac789", 10);
}

/* A window up to the end becomes longer with what it lies in. */
static void test_window_grows(void)
{
    BlockSource *whole = block_source_new_writable_memory("0123456789", 10, 14);
    g_autoptr(BlockSource) window = block_source_new_window(whole, 8, BLOCK_WINDOW_TO_END);

    g_assert_cmpint(block_source_write(window, "abcd", 4, 1), ==, 0);
    g_assert_cmpuint(window->length, ==, 5);
    g_assert_cmpmem(block_source_memory_bytes(whole), (int)whole->length, "012345678abcd", 13);
    g_assert_cmpint(block_source_truncate(window, 6), ==, 0);
    g_assert_cmpuint(whole->length, ==, 14);
    g_assert_cmpint(block_source_truncate(window, 7), ==, -ENOSPC);
}

/* A source that cannot be written refuses each change, and says why. */
static void test_read_only(void)
{
    g_autoptr(BlockSource) source = block_source_new_memory("0123456789", 10);

    g_assert_cmpint(block_source_write(source, "x", 1, 0), ==, -EROFS);
    g_assert_cmpint(block_source_flush(source), ==, -EROFS);
    g_assert_cmpint(block_source_truncate(source, 5), ==, -EROFS);
    g_assert_cmpint(block_source_punch(source, 0, 1), ==, -EROFS);
    g_assert_cmpuint(source->length, ==, 10);
}

static void assert_bytes(const BlockSource *source, const char *expected, size_t size)
{
    g_assert_cmpmem(block_source_memory_bytes(source), (int)source->length, expected, (int)size);
}

/* Writing replaces bytes, and makes the source longer where it sticks out; the gap is zeros. */
static void test_write(void)
{
    g_autoptr(BlockSource) source = block_source_new_writable_memory("01234", 5, 10);

    g_assert_cmpint(block_source_write(source, "ab", 2, 1), ==, 0);
    assert_bytes(source, "0ab34", 5);
    g_assert_cmpint(block_source_write(source, "cd", 2, 4), ==, 0);
    assert_bytes(source, "0ab3cd", 6);
    g_assert_cmpint(block_source_write(source, "e", 1, 8), ==, 0);
    assert_bytes(source, "0ab3cd\0\0e", 9);
    g_assert_cmpint(block_source_write(source, "", 0, 20), ==, 0);
    g_assert_cmpint(block_source_write(source, "xyz", 3, 8), ==, -ENOSPC);
    g_assert_cmpint(block_source_write(source, "x", 1, BLOCK_SOURCE_MAX_LENGTH), ==, -EIO);
    g_assert_cmpint(block_source_write(source, "xy", 2, UINT64_MAX), ==, -EIO);
    assert_bytes(source, "0ab3cd\0\0e", 9);
    g_assert_cmpint(block_source_flush(source), ==, 0);
}

/* The length can be changed both ways; what is new is zeros. */
static void test_truncate(void)
{
    g_autoptr(BlockSource) source = block_source_new_writable_memory("01234", 5, 10);

    g_assert_cmpint(block_source_truncate(source, 3), ==, 0);
    assert_bytes(source, "012", 3);
    g_assert_cmpint(block_source_truncate(source, 5), ==, 0);
    assert_bytes(source, "012\0\0", 5);
    g_assert_cmpint(block_source_truncate(source, 11), ==, -ENOSPC);
    g_assert_cmpint(block_source_truncate(source, BLOCK_SOURCE_MAX_LENGTH + 1), ==, -EIO);
    g_assert_cmpuint(source->length, ==, 5);
    g_assert_cmpint(block_source_truncate(source, 0), ==, 0);
    g_assert_cmpuint(source->length, ==, 0);
}

/* A punched range is cut at the end of the source, and does not make it longer. */
static void test_punch(void)
{
    g_autoptr(BlockSource) source = block_source_new_writable_memory("01234", 5, 10);

    g_assert_cmpint(block_source_punch(source, 3, 100), ==, 0);
    assert_bytes(source, "012\0\0", 5);
    g_assert_cmpint(block_source_punch(source, 5, 1), ==, 0);
    g_assert_cmpint(block_source_punch(source, 0, 0), ==, 0);
    assert_bytes(source, "012\0\0", 5);
}

/* A source that writes @step bytes at a time, does not flush, and can neither punch nor be truncated. */
typedef struct StubbornSource {
    BlockSource base;
    size_t step;
    unsigned writes;
    int flush_error;
} StubbornSource;

static ssize_t stubborn_write_at(BlockSource *source, const void *buffer, size_t size, uint64_t offset)
{
    StubbornSource *stubborn = (StubbornSource *)source;

    g_assert_cmpint(((const char *)buffer)[0], ==, 'a' + (char)offset);
    stubborn->writes++;
    return MIN(size, stubborn->step);
}

static int stubborn_flush(BlockSource *source)
{
    int error = ((StubbornSource *)source)->flush_error;

    ((StubbornSource *)source)->flush_error = 0; /* as the kernel, which tells of an error once */
    return error;
}

static int stubborn_punch(BlockSource *source, uint64_t offset, uint64_t size)
{
    return -EOPNOTSUPP;
}

static const BlockSourceOps stubborn_ops = {
    .write_at = stubborn_write_at, .flush = stubborn_flush, .punch = stubborn_punch};

/* Short writes are continued; writing nothing is an error. */
static void test_short_writes(void)
{
    StubbornSource stubborn = {.base = {.ops = &stubborn_ops, .length = 9, .writable = true}, .step = 2};

    g_assert_cmpint(block_source_write(&stubborn.base, "abcde", 5, 0), ==, 0);
    g_assert_cmpuint(stubborn.writes, ==, 3);
    stubborn.step = 0;
    g_assert_cmpint(block_source_write(&stubborn.base, "abcde", 5, 0), ==, -EIO);
}

/* After a failed flush nobody knows what is on disk: nothing that follows may seem to succeed. */
static void test_failed_flush(void)
{
    StubbornSource stubborn = {
        .base = {.ops = &stubborn_ops, .length = 9, .writable = true}, .step = 2, .flush_error = -EDQUOT};

    g_assert_cmpint(block_source_flush(&stubborn.base), ==, -EDQUOT);
    g_assert_cmpint(block_source_flush(&stubborn.base), ==, -EDQUOT);
    g_assert_cmpint(block_source_write(&stubborn.base, "a", 1, 0), ==, -EDQUOT);
}

/* Not being able to punch is no failure; not being able to change the length is one, unless it is right already. */
static void test_not_offered(void)
{
    StubbornSource stubborn = {.base = {.ops = &stubborn_ops, .length = 9, .writable = true}};

    g_assert_cmpint(block_source_punch(&stubborn.base, 0, 9), ==, 0);
    g_assert_cmpint(block_source_truncate(&stubborn.base, 9), ==, 0);
    g_assert_cmpint(block_source_truncate(&stubborn.base, 8), ==, -ENOTSUP);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/source/inside", test_inside);
    g_test_add_func("/source/beyond-end", test_beyond_end);
    g_test_add_func("/source/window-reads", test_window_reads);
    g_test_add_func("/source/window-writes", test_window_writes);
    g_test_add_func("/source/window-grows", test_window_grows);
    g_test_add_func("/source/empty", test_empty);
    g_test_add_func("/source/limit", test_limit);
    g_test_add_func("/source/short-reads", test_short_reads);
    g_test_add_func("/source/shrunk", test_shrunk);
    g_test_add_func("/source/read-only", test_read_only);
    g_test_add_func("/source/write", test_write);
    g_test_add_func("/source/truncate", test_truncate);
    g_test_add_func("/source/punch", test_punch);
    g_test_add_func("/source/short-writes", test_short_writes);
    g_test_add_func("/source/failed-flush", test_failed_flush);
    g_test_add_func("/source/not-offered", test_not_offered);
    return g_test_run();
}
