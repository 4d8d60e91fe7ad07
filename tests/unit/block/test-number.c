/*
 * Arithmetic on numbers that an image claims.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>

#include "util/number.h"

/* A sum that fits is given, up to the very last one. */
static void test_add(void)
{
    uint64_t sum;

    g_assert_true(add_u64(0, 0, &sum));
    g_assert_cmpuint(sum, ==, 0);
    g_assert_true(add_u64(UINT64_C(0x7fffffffffffffff), UINT64_C(0x8000000000000000), &sum));
    g_assert_cmphex(sum, ==, UINT64_MAX);
}

/* A sum that does not fit is refused, and the result is left alone. */
static void test_add_overflow(void)
{
    uint64_t sum = 42;

    g_assert_false(add_u64(UINT64_MAX, 1, &sum));
    g_assert_false(add_u64(UINT64_C(1) << 63, UINT64_C(1) << 63, &sum));
    g_assert_cmpuint(sum, ==, 42);
}

/* Rounding up goes to the next multiple, stays on one, and refuses where there is none. */
static void test_align_up(void)
{
    static const struct {
        uint64_t n, alignment, expected;
    } cases[] = {
        {0, 8, 0},
        {1, 8, 8},
        {7, 8, 8},
        {8, 8, 8},
        {9, 8, 16},
        {UINT64_C(0x10001), 0x10000, UINT64_C(0x20000)},
        {UINT64_MAX, 1, UINT64_MAX},
        {UINT64_MAX - 7, 8, UINT64_MAX - 7},
    };
    uint64_t result = 0;

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_assert_true(align_up_u64(cases[i].n, cases[i].alignment, &result));
        g_assert_cmphex(result, ==, cases[i].expected);
    }
    result = 42;
    g_assert_false(align_up_u64(UINT64_MAX - 6, 8, &result));
    g_assert_false(align_up_u64(UINT64_MAX, UINT64_C(1) << 63, &result));
    g_assert_cmpuint(result, ==, 42);
}

/* Dividing rounds up without an intermediate sum that could overflow. */
static void test_div_round_up(void)
{
    g_assert_cmpuint(DIV_ROUND_UP(UINT64_C(0), 512), ==, 0);
    g_assert_cmpuint(DIV_ROUND_UP(UINT64_C(1), 512), ==, 1);
    g_assert_cmpuint(DIV_ROUND_UP(UINT64_C(512), 512), ==, 1);
    g_assert_cmpuint(DIV_ROUND_UP(UINT64_C(513), 512), ==, 2);
    g_assert_cmphex(DIV_ROUND_UP(UINT64_MAX, 2), ==, UINT64_C(1) << 63);
}

/* Loads are big-endian and take any address. */
static void test_loads(void)
{
    static const uint8_t bytes[] = {0xff, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};

    g_assert_cmphex(load_be16(bytes + 1), ==, 0x0123);
    g_assert_cmphex(load_be32(bytes + 1), ==, 0x01234567);
    g_assert_cmphex(load_be64(bytes + 1), ==, UINT64_C(0x0123456789abcdef));
    g_assert_cmphex(load_be64(bytes), ==, UINT64_C(0xff0123456789abcd));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/number/add", test_add);
    g_test_add_func("/number/add-overflow", test_add_overflow);
    g_test_add_func("/number/align-up", test_align_up);
    g_test_add_func("/number/div-round-up", test_div_round_up);
    g_test_add_func("/number/loads", test_loads);
    return g_test_run();
}
