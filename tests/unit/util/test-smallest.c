/*
 * A list with a limit has the same items for any order and any number of threads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>

#include "util/smallest.h"

#define N_THREADS 4u
#define EACH      5000u

static int compare_numbers(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static void add_number(Smallest *s, uint32_t number)
{
    smallest_add(s, &number);
}

static void check_first_numbers(Smallest *s, guint n, bool more)
{
    GArray *items = smallest_end(s);

    g_assert_cmpuint(items->len, ==, n);
    for (uint32_t i = 0; i < n; i++) {
        g_assert_cmpuint(g_array_index(items, uint32_t, i), ==, i);
    }
    g_assert_cmpint(s->more, ==, more);
    smallest_clear(s);
}

/* Up, down, and in steps of a number that has no divisor in common with theirs. */
static void test_orders(void)
{
    static const uint32_t numbers = 3000, limits[] = {1, 7, 100, 2999, 3000, 3001};

    for (size_t k = 0; k < G_N_ELEMENTS(limits); k++) {
        for (unsigned order = 0; order < 3; order++) {
            Smallest s;

            smallest_init(&s, sizeof(uint32_t), limits[k], compare_numbers);
            for (uint32_t i = 0; i < numbers; i++) {
                add_number(&s, order == 0 ? i : order == 1 ? numbers - 1 - i : i * 1009 % numbers);
            }
            check_first_numbers(&s, MIN(limits[k], numbers), limits[k] < numbers);
        }
    }
}

static void test_none(void)
{
    Smallest s;

    smallest_init(&s, sizeof(uint32_t), 10, compare_numbers);
    check_first_numbers(&s, 0, false);
}

/* Copies of one item count one by one, and none of them hides a smaller one. */
static void test_equals(void)
{
    Smallest s;
    GArray *items;

    smallest_init(&s, sizeof(uint32_t), 10, compare_numbers);
    for (unsigned i = 0; i < 1000; i++) {
        add_number(&s, 5);
    }
    add_number(&s, 4);
    items = smallest_end(&s);
    g_assert_cmpuint(items->len, ==, 10);
    g_assert_cmpuint(g_array_index(items, uint32_t, 0), ==, 4);
    g_assert_cmpuint(g_array_index(items, uint32_t, 1), ==, 5);
    g_assert_true(s.more);
    smallest_clear(&s);
}

typedef struct Part {
    Smallest *smallest;
    uint32_t first;
} Part;

static gpointer add_part(gpointer data)
{
    const Part *part = data;

    for (uint32_t i = EACH; i-- > 0;) {
        add_number(part->smallest, i * N_THREADS + part->first);
    }
    return NULL;
}

static void test_threads(void)
{
    Smallest s;
    GThread *threads[N_THREADS];
    Part parts[N_THREADS];

    smallest_init(&s, sizeof(uint32_t), 1000, compare_numbers);
    for (uint32_t i = 0; i < N_THREADS; i++) {
        parts[i] = (Part){&s, i};
        threads[i] = g_thread_new("add", add_part, &parts[i]);
    }
    for (unsigned i = 0; i < N_THREADS; i++) {
        g_thread_join(threads[i]);
    }
    check_first_numbers(&s, 1000, true);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/smallest/orders", test_orders);
    g_test_add_func("/smallest/none", test_none);
    g_test_add_func("/smallest/equals", test_equals);
    g_test_add_func("/smallest/threads", test_threads);
    return g_test_run();
}
