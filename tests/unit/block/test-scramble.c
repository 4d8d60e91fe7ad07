/*
 * Names made unreadable.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/metadump/scramble.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* The same name becomes the same; another one of the same length another; letters only. */
static void test_names(void)
{
    g_autoptr(Qcow2Scrambler) s = qcow2_scrambler_new();
    char a[] = "customer-4711", b[] = "customer-4712", again[] = "customer-4711";

    qcow2_scramble(s, a, strlen(a));
    qcow2_scramble(s, b, strlen(b));
    qcow2_scramble(s, again, strlen(again));
    g_assert_cmpstr(a, ==, again);
    g_assert_cmpstr(a, !=, b);
    g_assert_cmpuint(strlen(a), ==, strlen("customer-4711"));
    g_assert_cmpuint(strspn(a, "abcdefghijklmnopqrstuvwxyz"), ==, strlen(a));
    qcow2_scramble(s, a, 0);
}

/* All 256 names of one byte stay different: there are not letters enough for them. */
static void test_short_names(void)
{
    g_autoptr(Qcow2Scrambler) s = qcow2_scrambler_new();
    bool seen[256] = {0};

    for (unsigned i = 0; i < 256; i++) {
        uint8_t name = (uint8_t)i;

        qcow2_scramble(s, &name, 1);
        g_assert_false(seen[name]);
        seen[name] = true;
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/scramble/names", test_names);
    g_test_add_func("/scramble/short-names", test_short_names);
    return g_test_run();
}
