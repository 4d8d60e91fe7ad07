/*
 * Text from an image, made fit to be shown.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/text.h"

#include <string.h>

static void expect_escaped(const char *bytes, size_t size, const char *expected)
{
    /* a copy of exactly this size, so that a sanitizer sees a read behind it */
    g_autofree char *copy = g_memdup2(bytes, size);
    g_autofree char *escaped = text_escape(copy ? copy : "", size);

    g_assert_cmpstr(escaped, ==, expected);
}

/* What can be shown stays as it is, whatever the alphabet. */
static void test_plain(void)
{
    expect_escaped("", 0, "");
    expect_escaped("snapshot-1 \"x\" \\", 16, "snapshot-1 \"x\" \\");
    expect_escaped("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x92\xbe", 14, "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x92\xbe");
}

/* Control characters of ASCII, NUL among them, and of Latin 1 become escape sequences. */
static void test_controls(void)
{
    expect_escaped("\x1b[2J\r\n\t\x7f", 8, "\\x1b[2J\\x0d\\x0a\\x09\\x7f");
    expect_escaped("a\0b", 3, "a\\x00b");
    expect_escaped("\0", 1, "\\x00");
    expect_escaped("\xc2\x9b"
                   "2J\xc2\x80",
                   6, "\\u009b2J\\u0080");
}

/* So do characters that change the direction of a line, or show nothing at all. */
static void test_invisible(void)
{
    expect_escaped("a\xe2\x80\xae"
                   "b",
                   5, "a\\u202eb");
    expect_escaped("\xf3\xa0\x80\x81", 4, "\\U000e0001");
}

/* Bytes that are no UTF-8 are escaped one by one, and what follows them is read afresh. */
static void test_invalid(void)
{
    expect_escaped("\xff\xfe", 2, "\\xff\\xfe");
    expect_escaped("\xc3", 1, "\\xc3");
    expect_escaped("\xe2\x82", 2, "\\xe2\\x82");
    expect_escaped("\xe2\x82"
                   "A",
                   3, "\\xe2\\x82A");
    expect_escaped("\xc0\x80", 2, "\\xc0\\x80");          /* overlong NUL */
    expect_escaped("\xed\xa0\x80", 3, "\\xed\\xa0\\x80"); /* a surrogate */
    expect_escaped("\x80\xc3\xa9", 3, "\\x80\xc3\xa9");
}

/* Nothing behind the given size is looked at, not even to complete a character. */
static void test_size(void)
{
    expect_escaped("abcdef", 3, "abc");
    expect_escaped("ab\xc3\xa9", 3, "ab\\xc3");
}

/* Quoted text has its quotes and backslashes escaped as well. */
static void test_quoted(void)
{
    g_autoptr(GString) text = g_string_new("<");

    g_assert_cmpuint(text_append_escaped(text, "\"x", 2, true), ==, 1);
    g_assert_cmpuint(text_append_escaped(text, "\\", 1, true), ==, 1);
    g_assert_cmpuint(text_append_escaped(text, "\xe2\x82\xac...", 6, true), ==, 3);
    g_assert_cmpstr(text->str, ==, "<\\\"\\\\\xe2\x82\xac");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/text/plain", test_plain);
    g_test_add_func("/text/controls", test_controls);
    g_test_add_func("/text/invisible", test_invisible);
    g_test_add_func("/text/invalid", test_invalid);
    g_test_add_func("/text/size", test_size);
    g_test_add_func("/text/quoted", test_quoted);
    return g_test_run();
}
