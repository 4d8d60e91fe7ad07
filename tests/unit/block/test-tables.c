/*
 * Tables of 8-byte entries that may lie over one another.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "bytes.h"
#include "driver.h"

#define IMAGE_SLOTS 64

/* An image whose slot i has the value 1000 + i. */
typedef struct Fixture {
    uint8_t bytes[IMAGE_SLOTS * 8];
    BlockSource *source;
    Qcow2Tables *tables;
} Fixture;

static void fixture_begin(Fixture *f, size_t size)
{
    for (size_t i = 0; i < IMAGE_SLOTS; i++) {
        put_be64(f->bytes + i * 8, 1000 + i);
    }
    f->source = block_source_new_memory(f->bytes, size);
    f->tables = qcow2_tables_new();
}

static void fixture_clear(Fixture *f)
{
    qcow2_tables_free(f->tables);
    block_source_close(f->source);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Fixture, fixture_clear)

static void expect_spans(const Fixture *f, const Qcow2TableSpan *expected, size_t n_expected)
{
    size_t n;
    const Qcow2TableSpan *spans = qcow2_tables_spans(f->tables, &n);

    g_assert_cmpuint(n, ==, n_expected);
    for (size_t i = 0; i < n; i++) {
        g_assert_cmpuint(spans[i].offset, ==, expected[i].offset);
        g_assert_cmpuint(spans[i].n, ==, expected[i].n);
        g_assert_cmpuint(spans[i].weight, ==, expected[i].weight);
        g_assert_cmpuint(spans[i].active, ==, expected[i].active);
        g_assert_cmpint(spans[i].error, ==, 0);
        for (size_t k = 0; k < spans[i].n; k++) {
            g_assert_cmpuint(spans[i].slots[k], ==, 1000 + spans[i].offset / 8 + k);
        }
    }
}

/* Without tables there are no spans. */
static void test_none(void)
{
    g_auto(Fixture) f = {0};
    const uint64_t *slots;
    uint64_t first = 0;

    fixture_begin(&f, sizeof(f.bytes));
    load_tables(f.tables, f.source);
    expect_spans(&f, NULL, 0);
    g_assert_cmpuint(qcow2_tables_part(f.tables, 0, 5, &first, &slots), ==, 0);
    g_assert_cmpint(qcow2_tables_error(f.tables, 0, 5), ==, 0);
}

/* Tables apart from each other, or side by side, are a span each, sorted by offset. */
static void test_apart(void)
{
    static const Qcow2TableSpan expected[] = {
        {.offset = 0, .n = 4, .weight = 1},
        {.offset = 32, .n = 4, .weight = 1, .active = 1},
        {.offset = 128, .n = 1, .weight = 1},
    };
    g_auto(Fixture) f = {0};

    fixture_begin(&f, sizeof(f.bytes));
    qcow2_tables_add(f.tables, 128, 1, false);
    qcow2_tables_add(f.tables, 32, 4, true);
    qcow2_tables_add(f.tables, 0, 4, false);
    load_tables(f.tables, f.source);
    expect_spans(&f, expected, G_N_ELEMENTS(expected));
}

/* The same table added three times is one span of weight three. */
static void test_same(void)
{
    static const Qcow2TableSpan expected[] = {{.offset = 16, .n = 5, .weight = 3, .active = 1}};
    g_auto(Fixture) f = {0};

    fixture_begin(&f, sizeof(f.bytes));
    qcow2_tables_add(f.tables, 16, 5, false);
    qcow2_tables_add(f.tables, 16, 5, true);
    qcow2_tables_add(f.tables, 16, 5, false);
    load_tables(f.tables, f.source);
    expect_spans(&f, expected, G_N_ELEMENTS(expected));
}

/* Where tables overlap, the spans are cut where one begins or ends. */
static void test_overlapping(void)
{
    /* slots 0-9 (active), 4-13, 6-7 */
    static const Qcow2TableSpan expected[] = {
        {.offset = 0, .n = 4, .weight = 1, .active = 1},  {.offset = 32, .n = 2, .weight = 2, .active = 1},
        {.offset = 48, .n = 2, .weight = 3, .active = 1}, {.offset = 64, .n = 2, .weight = 2, .active = 1},
        {.offset = 80, .n = 4, .weight = 1, .active = 0},
    };
    g_auto(Fixture) f = {0};

    fixture_begin(&f, sizeof(f.bytes));
    qcow2_tables_add(f.tables, 32, 10, false);
    qcow2_tables_add(f.tables, 48, 2, false);
    qcow2_tables_add(f.tables, 0, 10, true);
    load_tables(f.tables, f.source);
    expect_spans(&f, expected, G_N_ELEMENTS(expected));
}

/* What lies beyond the end of the file is not held; a slot that the end cuts is. */
static void test_beyond_end(void)
{
    g_auto(Fixture) f = {0};
    const Qcow2TableSpan *spans;
    size_t n;

    fixture_begin(&f, 20); /* two slots and a half */
    qcow2_tables_add(f.tables, 8, UINT32_MAX, true);
    qcow2_tables_add(f.tables, 24, 100, false);
    qcow2_tables_add(f.tables, UINT64_C(0x7fffffff00000000), 8, false);
    load_tables(f.tables, f.source);
    spans = qcow2_tables_spans(f.tables, &n);
    g_assert_cmpuint(n, ==, 1);
    g_assert_cmpuint(spans[0].offset, ==, 8);
    g_assert_cmpuint(spans[0].n, ==, 2);
    g_assert_cmpuint(spans[0].weight, ==, 1);
    g_assert_cmphex(spans[0].slots[0], ==, 1001);
    g_assert_cmphex(spans[0].slots[1], ==, 0); /* the high half of 1002 is all that there is */
}

/* An empty file holds nothing. */
static void test_empty_file(void)
{
    g_auto(Fixture) f = {0};

    fixture_begin(&f, 0);
    qcow2_tables_add(f.tables, 0, 8, true);
    load_tables(f.tables, f.source);
    expect_spans(&f, NULL, 0);
}

/* A table that several spans share is gone through from its first slot to its last. */
static void test_parts(void)
{
    g_auto(Fixture) f = {0};
    const uint64_t *slots;
    uint64_t first = 0, n;
    uint64_t next = 4;

    fixture_begin(&f, sizeof(f.bytes));
    qcow2_tables_add(f.tables, 0, 10, true);
    qcow2_tables_add(f.tables, 32, 10, false);
    qcow2_tables_add(f.tables, 48, 2, false);
    load_tables(f.tables, f.source);
    while ((n = qcow2_tables_part(f.tables, 32, 10, &first, &slots))) {
        for (uint64_t i = 0; i < n; i++) {
            g_assert_cmpuint(slots[i], ==, 1000 + next++);
        }
        first += n;
        g_assert_cmpuint(first, ==, next - 4);
    }
    g_assert_cmpuint(next, ==, 14);
}

/* Going through can begin in the middle of a span, and ends with the table, not with the span. */
static void test_part_of_span(void)
{
    g_auto(Fixture) f = {0};
    const uint64_t *slots;
    uint64_t first = 3;

    fixture_begin(&f, sizeof(f.bytes));
    qcow2_tables_add(f.tables, 16, 20, true);
    load_tables(f.tables, f.source);
    g_assert_cmpuint(qcow2_tables_part(f.tables, 16, 10, &first, &slots), ==, 7);
    g_assert_cmpuint(first, ==, 3);
    g_assert_cmpuint(slots[0], ==, 1005);
    first = 10;
    g_assert_cmpuint(qcow2_tables_part(f.tables, 16, 10, &first, &slots), ==, 0);
}

/* A table of which the file holds only the beginning ends there. */
static void test_part_cut(void)
{
    g_auto(Fixture) f = {0};
    const uint64_t *slots;
    uint64_t first = 0;

    fixture_begin(&f, 32);
    qcow2_tables_add(f.tables, 8, 1000, true);
    load_tables(f.tables, f.source);
    g_assert_cmpuint(qcow2_tables_part(f.tables, 8, 1000, &first, &slots), ==, 3);
    first += 3;
    g_assert_cmpuint(qcow2_tables_part(f.tables, 8, 1000, &first, &slots), ==, 0);
}

static ssize_t fail_below_64(BlockSource *source, void *buffer, size_t size, uint64_t offset)
{
    if (offset < 64) {
        return -EIO;
    }
    memset(buffer, 1, size);
    return size;
}

static ssize_t fail_always(BlockSource *source, void *buffer, size_t size, uint64_t offset)
{
    return -EIO;
}

/* Slots that cannot be read are an error of the tables that have them, and of no other. */
static void test_error(void)
{
    static const BlockSourceOps ops = {.read_at = fail_below_64};
    BlockSource source = {.ops = &ops, .length = 1024};
    g_autoptr(Qcow2Tables) tables = qcow2_tables_new();
    const Qcow2TableSpan *spans;
    const uint64_t *slots;
    uint64_t first = 0;
    size_t n;

    qcow2_tables_add(tables, 32, 8, true);
    qcow2_tables_add(tables, 64, 8, false);
    qcow2_tables_add(tables, 200, 1, false);
    load_tables(tables, &source);
    spans = qcow2_tables_spans(tables, &n);
    g_assert_cmpuint(n, ==, 4);
    g_assert_null(spans[0].slots);
    g_assert_cmpint(spans[0].error, ==, -EIO);
    g_assert_nonnull(spans[1].slots);
    g_assert_cmpint(qcow2_tables_error(tables, 32, 8), ==, -EIO);
    g_assert_cmpint(qcow2_tables_error(tables, 64, 8), ==, 0);
    g_assert_cmpint(qcow2_tables_error(tables, 200, 1), ==, 0);
    /* what follows the unreadable slots is still there */
    g_assert_cmpuint(qcow2_tables_part(tables, 32, 8, &first, &slots), ==, 4);
    g_assert_cmpuint(first, ==, 4);
}

/* Of @size bytes, those from 8192 to 16384 and from 1 MiB + 4096 to 1 MiB + 8192 cannot be read. */
static ssize_t fail_in_places(BlockSource *source, void *buffer, size_t size, uint64_t offset)
{
    uint64_t end = offset + size;

    if ((offset < 16384 && end > 8192) || (offset < 1056768 && end > 1052672)) {
        return -EIO;
    }
    memset(buffer, 1, size);
    return size;
}

/* Only what really cannot be read of a table is lost, by pages of the disk; it is told part by part. */
static void test_unread_parts(void)
{
    static const BlockSourceOps ops = {.read_at = fail_in_places};
    BlockSource source = {.ops = &ops, .length = 4 << 20};
    g_autoptr(Qcow2Tables) tables = qcow2_tables_new();
    const uint64_t *slots;
    uint64_t first = 0;
    int error;

    qcow2_tables_add(tables, 512, 2 << 17, true); /* 2 MiB */
    load_tables(tables, &source);
    g_assert_cmpuint(qcow2_tables_unread_part(tables, 512, 2 << 17, &first, &error), ==, 1024);
    g_assert_cmpuint(first, ==, (8192 - 512) / 8);
    g_assert_cmpint(error, ==, -EIO);
    first += 1024;
    g_assert_cmpuint(qcow2_tables_unread_part(tables, 512, 2 << 17, &first, &error), ==, 512);
    g_assert_cmpuint(first, ==, (1052672 - 512) / 8);
    first += 512;
    g_assert_cmpuint(qcow2_tables_unread_part(tables, 512, 2 << 17, &first, &error), ==, 0);
    /* a table that begins and ends inside a part */
    first = 0;
    g_assert_cmpuint(qcow2_tables_unread_part(tables, 12288, 10, &first, &error), ==, 10);
    g_assert_cmpuint(first, ==, 0);
    first = 16383 / 8;
    g_assert_cmpuint(qcow2_tables_part(tables, 0, 1 << 17, &first, &slots), >, 0);
    g_assert_cmpuint(first, ==, 16384 / 8);
    g_assert_cmphex(slots[0], ==, 0x0101010101010101);
}

/* A disk that reads nothing at all is not asked for each page of large tables. */
static void test_all_failed(void)
{
    static const BlockSourceOps ops = {.read_at = fail_always};
    BlockSource source = {.ops = &ops, .length = 64 << 20};
    g_autoptr(Qcow2Tables) tables = qcow2_tables_new();
    uint64_t first = 0;
    int error;

    qcow2_tables_add(tables, 0, 4 << 20, true); /* 32 MiB: 8192 pages */
    load_tables(tables, &source);
    g_assert_cmpuint(source.failed_reads, <, 2048);
    g_assert_cmpuint(qcow2_tables_unread_part(tables, 0, 4 << 20, &first, &error), ==, 4 << 20);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/tables/none", test_none);
    g_test_add_func("/tables/apart", test_apart);
    g_test_add_func("/tables/same", test_same);
    g_test_add_func("/tables/overlapping", test_overlapping);
    g_test_add_func("/tables/beyond-end", test_beyond_end);
    g_test_add_func("/tables/empty-file", test_empty_file);
    g_test_add_func("/tables/parts", test_parts);
    g_test_add_func("/tables/part-of-span", test_part_of_span);
    g_test_add_func("/tables/part-cut", test_part_cut);
    g_test_add_func("/tables/error", test_error);
    g_test_add_func("/tables/unread-parts", test_unread_parts);
    g_test_add_func("/tables/all-failed", test_all_failed);
    return g_test_run();
}
