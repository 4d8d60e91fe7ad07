/*
 * What is read of names and of headers, before a server is asked or believed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>

#include "block/io/http/range.h"
#include "block/io/nbd/name.h"
#include "block/source.h"

static void assert_uri(const char *name, const char *uri)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *got = nbd_name_to_uri(name, &error);

    g_assert_no_error(error);
    g_assert_cmpstr(got, ==, uri);
}

/* The older names become URIs, in which special characters are escaped; URIs stay as they are. */
static void test_nbd_names(void)
{
    assert_uri("nbd:localhost:10809", "nbd://localhost:10809/");
    assert_uri("nbd:[::1]:1:exportname=a/b c?", "nbd://[::1]:1/a%2Fb%20c%3F");
    assert_uri("nbd:unix:/run/a&b", "nbd+unix:///?socket=%2Frun%2Fa%26b");
    assert_uri("nbd:unix:/run/s:exportname=x:exportname=y", "nbd+unix:///x%3Aexportname%3Dy?socket=%2Frun%2Fs");
    assert_uri("nbd+tcp://host/x", "nbd://host/x");
    assert_uri("nbds://host:1/x?tls-certificates=/c", "nbds://host:1/x?tls-certificates=/c");
    assert_uri("nbds+unix://u@/x?socket=/s&tls-psk-file=/k", "nbds+unix://u@/x?socket=/s&tls-psk-file=/k");
}

static void test_wrong_nbd_names(void)
{
    static const char *const wrong[] = {
        "nbd:",        "nbd:host",  "nbd::1", "nbd:host:0", "nbd:host:65536",
        "nbd:host:-1", "nbd:host:", "nbd://", "nbds://",    "nbds://host/?socket=tls-psk-file",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(nbd_name_to_uri(wrong[i], &error));
        g_assert_error(error, BLOCK_ERROR, 22);
    }
}

static void assert_address(const char *uri, const char *address)
{
    g_autofree char *got = nbd_uri_address(uri);

    g_assert_cmpstr(got, ==, address);
}

/* Messages name the socket or the port that nobody listens at. */
static void test_addresses(void)
{
    assert_address("nbd://host/x", "host:10809");
    assert_address("nbds://[::1]:7", "::1:7");
    assert_address("nbd+unix:///x?socket=%2Frun%2Fa%26b", "/run/a&b");
    assert_address("nbd+unix:///x", "nbd+unix:///x");
}

static void test_ranges(void)
{
    HttpRange range;

    g_assert_true(http_range_parse(" bytes 512-1023/4096\r\n", &range));
    g_assert_true(range.has_range && range.has_length);
    g_assert_cmpuint(range.first, ==, 512);
    g_assert_cmpuint(range.last, ==, 1023);
    g_assert_cmpuint(range.length, ==, 4096);
    g_assert_true(http_range_parse("Bytes 0-0/*", &range));
    g_assert_true(range.has_range && !range.has_length);
    g_assert_true(http_range_parse("bytes */0", &range));
    g_assert_true(!range.has_range && range.has_length && range.length == 0);
    g_assert_true(http_range_parse("bytes 0-9223372036854775806/9223372036854775807", &range));
}

/* Whatever a server writes: no range that ends before it begins, or behind the end of the file. */
static void test_wrong_ranges(void)
{
    static const char *const wrong[] = {
        "",
        "bytes",
        "bytes ",
        "bytes 0-1",
        "bytes */*",
        "bytes -1/5",
        "bytes 2-1/5",
        "bytes 0-5/5",
        "bytes 0-1/-5",
        "bytes 0-/5",
        "bytes 1/5",
        "bytes 0x0-0x1/5",
        "bytes 0-1 /5",
        "bytes 0-1/5/6",
        "lines 0-1/5",
        "bytes 0-18446744073709551615/18446744073709551616",
        "bytes 0-9223372036854775808/9223372036854775809",
    };
    HttpRange range;

    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_test_message("%s", wrong[i]);
        g_assert_false(http_range_parse(wrong[i], &range));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nbd/names", test_nbd_names);
    g_test_add_func("/nbd/wrong-names", test_wrong_nbd_names);
    g_test_add_func("/nbd/addresses", test_addresses);
    g_test_add_func("/http/ranges", test_ranges);
    g_test_add_func("/http/wrong-ranges", test_wrong_ranges);
    return g_test_run();
}
