/*
 * Sorting by a key, and the place of a key among sorted items.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>

#include "util/search.h"

typedef struct {
    uint32_t other;
    uint64_t key;
} Item;

/* An empty GArray has no memory: its data is NULL, to which nothing may be added. */
static void test_empty_array(void)
{
    g_autoptr(GArray) items = g_array_new(FALSE, FALSE, sizeof(Item));

    g_assert_null(items->data);
    g_assert_cmpuint(ARRAY_FIRST_NOT_BELOW(items, Item, key, 0), ==, 0);
    g_assert_cmpuint(ARRAY_FIRST_NOT_BELOW(items, Item, key, UINT64_MAX), ==, 0);
}

static void test_first_of_equals(void)
{
    const Item items[] = {{9, 0}, {8, 3}, {7, 3}, {6, 3}, {5, UINT64_MAX}};
    const struct {
        uint64_t key;
        size_t expected;
    } cases[] = {{0, 0}, {1, 1}, {3, 1}, {4, 4}, {UINT64_MAX, 4}};

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_assert_cmpuint(FIRST_NOT_BELOW(items, G_N_ELEMENTS(items), Item, key, cases[i].key), ==, cases[i].expected);
    }
}

static void test_all_below(void)
{
    const Item items[] = {{0, 1}, {0, 2}};

    g_assert_cmpuint(FIRST_NOT_BELOW(items, 2, Item, key, 3), ==, 2);
}

/* Keys may differ in their upper half only. */
static void test_sort(void)
{
    const Item items[] = {{1, UINT64_MAX}, {2, 7}, {3, UINT64_C(1) << 32}, {4, 7}, {5, 0}};
    const uint32_t expected[] = {5, 2, 4, 3, 1};
    g_autoptr(GArray) array = g_array_new(FALSE, FALSE, sizeof(Item));

    ARRAY_SORT(array, Item, key);
    g_array_append_vals(array, items, G_N_ELEMENTS(items));
    ARRAY_SORT(array, Item, key);
    for (guint i = 0; i < array->len; i++) {
        g_assert_cmpuint(g_array_index(array, Item, i).other, ==, expected[i]);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/search/an empty array has nothing, and no memory is looked at", test_empty_array);
    g_test_add_func("/search/of equal keys the first is found", test_first_of_equals);
    g_test_add_func("/search/where all are below, the number of items comes back", test_all_below);
    g_test_add_func("/search/a sort is by the key, and keeps the order of equals", test_sort);
    return g_test_run();
}
