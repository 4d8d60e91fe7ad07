/*
 * Folding messages for a terminal.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "ui/progress/fold.h"

/* What becomes of @lines, which end with NULL. */
static void check(const char *const *lines, const char *expected)
{
    g_autoptr(MessageFold) fold = message_fold_new();
    g_autoptr(GString) out = g_string_new(NULL);

    for (; *lines; lines++) {
        message_fold_add(fold, *lines, strlen(*lines), out);
    }
    message_fold_finish(fold, out);
    g_assert_cmpstr(out->str, ==, expected);
}

#define CHECK(expected, ...) check((const char *const[]){__VA_ARGS__, NULL}, expected)

static void test_runs(void)
{
    CHECK("Leaked clusters 9-11 refcount=1 reference=0 (3)\n", "Leaked cluster 9 refcount=1 reference=0",
          "Leaked cluster 10 refcount=1 reference=0", "Leaked cluster 11 refcount=1 reference=0");
    CHECK("Leaked clusters 9...14 refcount=1 reference=0 (3)\n", "Leaked cluster 9 refcount=1 reference=0",
          "Leaked cluster 10 refcount=1 reference=0", "Leaked cluster 14 refcount=1 reference=0");
    CHECK("ERROR offset=0x9f000-0xa1000: x (3)\n", "ERROR offset=0x9f000: x", "ERROR offset=0xa0000: x",
          "ERROR offset=0xa1000: x");
    CHECK("e=8000000000090000-80000000000b0000 refcount=2 (3)\n", "e=8000000000090000 refcount=2",
          "e=80000000000a0000 refcount=2", "e=80000000000b0000 refcount=2");
}

/* Lines that are the same are counted; a number that grows behind them begins a run of its own. */
static void test_same(void)
{
    CHECK("the same 1 (3)\n", "the same 1", "the same 1", "the same 1");
    CHECK("same 1 (2)\nsame 2\n", "same 1", "same 1", "same 2");
    CHECK("n 1-2 (2)\nn 2 (2)\n", "n 1", "n 2", "n 2", "n 2");
}

/* Kinds that take turns are folded, up to four of them, in the order of their first lines. */
static void test_turns(void)
{
    CHECK("ERROR clusters 5-7 (3)\nRepairing clusters 5-7 (3)\n", "ERROR cluster 5", "Repairing cluster 5",
          "ERROR cluster 6", "Repairing cluster 6", "ERROR cluster 7", "Repairing cluster 7");
    CHECK("n 1-2 (2)\nx\ny\nz\n", "n 1", "x", "y", "z", "n 2");
    CHECK("n 1\nx\ny\nz\nw\nn 2\n", "n 1", "x", "y", "z", "w", "n 2");
    CHECK("n 1\n\nn 2\n", "n 1", "", "n 2");
}

static void test_no_runs(void)
{
    CHECK("one\n", "one");
    CHECK("down 2\ndown 1\n", "down 2", "down 1");
    CHECK("two 1 1\ntwo 2 2\n", "two 1 1", "two 2 2");
    CHECK("a 1 x\nb 2 x\n\n", "a 1 x", "b 2 x", "");
    CHECK("l2x\nl3x\n", "l2x", "l3x");
}

static void test_another_number(void)
{
    /* the second run begins where another number changes */
    CHECK("cluster 5 refcount=1-2 (2)\ncluster 6 refcount=2\n", "cluster 5 refcount=1", "cluster 5 refcount=2",
          "cluster 6 refcount=2");
    CHECK("clusters 5-6 refcount=1 (2)\ncluster 6 refcount=2\n", "cluster 5 refcount=1", "cluster 6 refcount=1",
          "cluster 6 refcount=2");
}

static void test_long_numbers(void)
{
    CHECK("n 11111111111111111\nn 11111111111111112\n", "n 11111111111111111", "n 11111111111111112");
    CHECK("n ffffffffffffffff\n", "n ffffffffffffffff");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/fold/runs", test_runs);
    g_test_add_func("/fold/same", test_same);
    g_test_add_func("/fold/turns", test_turns);
    g_test_add_func("/fold/no-runs", test_no_runs);
    g_test_add_func("/fold/another-number", test_another_number);
    g_test_add_func("/fold/long-numbers", test_long_numbers);
    return g_test_run();
}
