/*
 * Sizes as people write them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>

#include "util/size.h"

static void expect_format(uint64_t bytes, const char *expected)
{
    g_autofree char *text = size_format(bytes);

    g_assert_cmpstr(text, ==, expected);
}

/* Three digits, of which none are lost to rounding up. */
static void test_format(void)
{
    expect_format(0, "0 B");
    expect_format(1023, "1023 B");
    expect_format(1024, "1.00 KiB");
    expect_format(65536, "64.0 KiB");
    expect_format(1536 * 1024, "1.50 MiB");
    expect_format((UINT64_C(1) << 20) - 1, "1.00 MiB");
    expect_format(UINT64_C(1023) << 20, "1023 MiB");
    expect_format((UINT64_C(1) << 30) - (1 << 10), "1.00 GiB");
    expect_format(UINT64_C(5) << 40, "5.00 TiB");
    expect_format(UINT64_MAX, "16.0 EiB");
}

static void expect_parse(const char *text, uint64_t expected)
{
    uint64_t bytes;

    g_assert_true(size_parse(text, &bytes));
    g_assert_cmpuint(bytes, ==, expected);
}

/* Decimal, hexadecimal, with and without a unit. */
static void test_parse(void)
{
    expect_parse("0", 0);
    expect_parse("65536", 65536);
    expect_parse("010", 10);
    expect_parse("64k", 65536);
    expect_parse("64K", 65536);
    expect_parse("3G", UINT64_C(3) << 30);
    expect_parse("2t", UINT64_C(2) << 40);
    expect_parse("0x50000", 0x50000);
    expect_parse("0X1fM", UINT64_C(0x1f) << 20);
    expect_parse("18446744073709551615", UINT64_MAX);
    expect_parse("0xffffffffffffffff", UINT64_MAX);
    expect_parse("15E", UINT64_C(15) << 60);
}

/* Anything else is refused, and what does not fit. */
static void test_refused(void)
{
    static const char *const texts[] = {"",     " 1",  "1 ",   "-1", "+1",  "0x",   "0xg",
                                        "k",    "1kB", "1.5G", "1q", "16E", "0x-1", "18446744073709551616",
                                        "1e400"};

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        uint64_t bytes = 77;

        g_assert_false(size_parse(texts[i], &bytes));
        g_assert_cmpuint(bytes, ==, 77);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/size/format", test_format);
    g_test_add_func("/size/parse", test_parse);
    g_test_add_func("/size/refused", test_refused);
    return g_test_run();
}
