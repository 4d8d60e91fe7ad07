/*
 * Holes of a file in order.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/io/holes.h"

#define KIB UINT64_C(1024)
#define GIB (KIB * KIB * KIB)

/* A file that has 4 KiB of data, then a hole of 12 KiB, and so on; it ends in the middle of a hole. */
#define PERIOD (16 * KIB)
#define DATA   (4 * KIB)
#define LENGTH (2 * GIB + 10 * KIB)

static uint64_t next_data(BlockSource *source, uint64_t offset)
{
    return MIN(offset % PERIOD < DATA ? offset : (offset / PERIOD + 1) * PERIOD, source->length);
}

static uint64_t next_hole(BlockSource *source, uint64_t offset)
{
    return MIN(offset % PERIOD < DATA ? offset / PERIOD * PERIOD + DATA : offset, source->length);
}

static const BlockSourceOps with_holes = {.next_data = next_data, .next_hole = next_hole};
static const BlockSourceOps without_holes = {0};

/* There are twice as many as are looked for in advance. */
static void test_all_in_parts(gconstpointer threads)
{
    BlockSource source = {.ops = &with_holes, .length = LENGTH};
    Holes holes = {0};
    uint64_t sum = 0;

    holes_init(&holes, &source, GPOINTER_TO_INT(threads));
    for (uint64_t at = 0, n = 1; at < LENGTH; at += n, n = n * 3 % 100003 + 1) {
        sum += holes_in(&holes, at, MIN(at + n, LENGTH));
    }
    g_assert_cmpuint(sum, ==, 2 * GIB / PERIOD * (PERIOD - DATA) + 6 * KIB);
    holes_clear(&holes);
}

/* What is passed over does not count. */
static void test_some(gconstpointer threads)
{
    BlockSource source = {.ops = &with_holes, .length = LENGTH};
    Holes holes = {0};

    holes_init(&holes, &source, GPOINTER_TO_INT(threads));
    g_assert_cmpuint(holes_in(&holes, 0, DATA), ==, 0);
    g_assert_cmpuint(holes_in(&holes, DATA, DATA + 1), ==, 1);
    g_assert_cmpuint(holes_in(&holes, DATA + 2, PERIOD + DATA), ==, PERIOD - DATA - 2);
    g_assert_cmpuint(holes_in(&holes, GIB - 1, GIB + DATA + 1), ==, 2);
    g_assert_cmpuint(holes_in(&holes, LENGTH, LENGTH), ==, 0);
    holes_clear(&holes);
}

/* Nobody asks for what the thread finds. */
static void test_not_wanted(void)
{
    BlockSource source = {.ops = &with_holes, .length = LENGTH};
    Holes holes = {0};

    holes_init(&holes, &source, true);
    holes_clear(&holes);
}

static void test_not_known(void)
{
    BlockSource source = {.ops = &without_holes, .length = LENGTH};
    Holes holes = {0};

    holes_init(&holes, &source, true);
    g_assert_cmpuint(holes_in(&holes, 0, LENGTH), ==, 0);
    holes_clear(&holes);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/holes/all-in-parts", GINT_TO_POINTER(false), test_all_in_parts);
    g_test_add_data_func("/holes/all-in-parts/thread", GINT_TO_POINTER(true), test_all_in_parts);
    g_test_add_data_func("/holes/some", GINT_TO_POINTER(false), test_some);
    g_test_add_data_func("/holes/some/thread", GINT_TO_POINTER(true), test_some);
    g_test_add_func("/holes/not-wanted", test_not_wanted);
    g_test_add_func("/holes/not-known", test_not_known);
    return g_test_run();
}
