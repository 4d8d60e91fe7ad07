/*
 * Pieces of reference counters.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <string.h>

#include "block/clusters/counters.h"

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Counters, counters_clear)

#define SIZE 700

/* A zeroed struct is a piece of zeros. */
static void test_zeros(void)
{
    g_auto(Counters) c = {0};

    g_assert_cmpuint(counters_get(&c, 0), ==, 0);
    g_assert_cmpuint(counters_get(&c, SIZE - 1), ==, 0);
    g_assert_cmpuint(counters_used(&c, 0, SIZE), ==, 0);
    g_assert_cmpuint(counters_find_above(&c, SIZE, 0, 0), ==, SIZE);
}

/* Adding to all of a piece takes no memory. */
static void test_uniform(void)
{
    g_auto(Counters) c = {0};

    g_assert_true(counters_add(&c, SIZE, 0, SIZE, 300));
    g_assert_true(counters_add(&c, SIZE, 0, SIZE, UINT64_C(1) << 40));
    g_assert_null(c.data);
    g_assert_cmpuint(counters_get(&c, SIZE / 2), ==, (UINT64_C(1) << 40) + 300);
    g_assert_cmpuint(counters_used(&c, 0, SIZE), ==, SIZE);
}

/* Makes counters from @first on so different that no runs are left; every second of 200 is one more. */
static void make_array(Counters *c, size_t first)
{
    for (size_t i = 0; i < 100; i++) {
        g_assert_true(counters_add(c, SIZE, first + 2 * i, 1, 1));
    }
    g_assert_cmpuint(c->width, !=, 0);
}

/* A few ranges stay runs, and ranges that meet with the same count become one. */
static void test_runs(void)
{
    g_auto(Counters) c = {0};

    g_assert_true(counters_add(&c, SIZE, 10, 20, 1));
    g_assert_true(counters_add(&c, SIZE, 40, 20, 1));
    g_assert_cmpuint(c.width, ==, 0);
    g_assert_cmpuint(c.n_runs, ==, 5);
    g_assert_true(counters_add(&c, SIZE, 30, 10, 1));
    g_assert_cmpuint(c.n_runs, ==, 3);
    g_assert_cmpuint(counters_stretch(&c, 10, SIZE), ==, 50);
    g_assert_cmpuint(counters_stretch(&c, 10, 35), ==, 25);
    g_assert_true(counters_add(&c, SIZE, 0, 10, 1));
    g_assert_true(counters_add(&c, SIZE, 60, SIZE - 60, 1));
    g_assert_cmpuint(c.n_runs, ==, 1);
    g_assert_cmpuint(counters_get(&c, SIZE - 1), ==, 1);
}

/* A counter that outgrows its width widens the piece, and no counter changes by that. */
static void test_widening(void)
{
    static const struct {
        uint64_t weight;
        uint64_t total;
        unsigned width;
    } regions[] = {
        {255, 255, 1}, {1, 256, 2}, {65279, 65535, 2}, {1, 65536, 8}, {UINT64_C(0xffffffff), UINT64_C(0x10000ffff), 8},
    };
    g_auto(Counters) c = {0};

    g_assert_true(counters_add(&c, SIZE, 0, SIZE, 7));
    g_assert_true(counters_add(&c, SIZE, 10, 1, 1));
    make_array(&c, 300);
    for (size_t i = 0; i < G_N_ELEMENTS(regions); i++) {
        g_assert_true(counters_add(&c, SIZE, 100, 2, regions[i].weight - (i == 0 ? 7 : 0)));
        g_assert_cmpuint(c.width, ==, regions[i].width);
        g_assert_cmpuint(counters_get(&c, 99), ==, 7);
        g_assert_cmpuint(counters_get(&c, 100), ==, regions[i].total);
        g_assert_cmpuint(counters_get(&c, 101), ==, regions[i].total);
        g_assert_cmpuint(counters_get(&c, 102), ==, 7);
        g_assert_cmpuint(counters_get(&c, 10), ==, 8);
    }
}

/* Going from one byte to eight at once works as well as step by step. */
static void test_widening_at_once(void)
{
    g_auto(Counters) c = {0};

    g_assert_true(counters_add(&c, SIZE, 0, 1, 200));
    g_assert_true(counters_add(&c, SIZE, 1, 1, 70000));
    g_assert_cmpuint(counters_get(&c, 0), ==, 200);
    g_assert_cmpuint(counters_get(&c, 1), ==, 70000);
    g_assert_cmpuint(counters_get(&c, 2), ==, 0);
}

/* A part of a uniform piece whose value is wide keeps that value outside of the part. */
static void test_part_of_wide_uniform(void)
{
    g_auto(Counters) c = {0};

    g_assert_true(counters_add(&c, SIZE, 0, SIZE, 70000));
    g_assert_true(counters_add(&c, SIZE, 5, 1, 1));
    g_assert_cmpuint(counters_get(&c, 4), ==, 70000);
    g_assert_cmpuint(counters_get(&c, 5), ==, 70001);
}

/* A counter stops at 2^64 - 1, in a part of a piece as in all of it, and its neighbours go on. */
static void test_saturation(void)
{
    g_auto(Counters) part = {0};
    g_auto(Counters) whole = {0};

    g_assert_true(counters_add(&part, SIZE, 3, 1, UINT64_MAX - 1));
    g_assert_true(counters_add(&part, SIZE, 2, 3, 1));
    g_assert_cmphex(counters_get(&part, 3), ==, UINT64_MAX);
    g_assert_true(counters_add(&part, SIZE, 2, 3, 1));
    g_assert_cmpuint(counters_get(&part, 2), ==, 2);
    g_assert_cmphex(counters_get(&part, 3), ==, UINT64_MAX);
    g_assert_cmpuint(counters_get(&part, 4), ==, 2);
    g_assert_cmpuint(counters_get(&part, 5), ==, 0);

    g_assert_true(counters_add(&whole, SIZE, 0, SIZE, UINT64_MAX));
    g_assert_true(counters_add(&whole, SIZE, 0, SIZE, UINT64_MAX));
    g_assert_cmphex(counters_get(&whole, SIZE - 1), ==, UINT64_MAX);
}

/* So does one in a piece of too many values for runs. */
static void test_saturation_in_array(void)
{
    g_auto(Counters) c = {0};

    for (unsigned i = 0; i < 200; i++) {
        g_assert_true(counters_add(&c, SIZE, i, 1, i % 2 ? UINT64_MAX - 2 : 5));
    }
    g_assert_true(counters_add(&c, SIZE, 0, 100, 3));
    for (unsigned i = 0; i < 200; i++) {
        g_assert_cmphex(counters_get(&c, i), ==, i % 2 ? (i < 100 ? UINT64_MAX : UINT64_MAX - 2) : (i < 100 ? 8 : 5));
    }
}

/* A piece that is made from values has them, and has them as runs when they are few. */
static void test_set_runs(void)
{
    uint8_t values[SIZE];
    g_auto(Counters) c = {0};

    for (size_t i = 0; i < SIZE; i++) {
        values[i] = i < 100 ? 3 : i < 101 ? 0 : 255;
    }
    g_assert_true(counters_set(&c, SIZE, values, sizeof(*values)));
    g_assert_cmpuint(c.width, ==, 0);
    g_assert_cmpuint(c.n_runs, ==, 3);
    for (size_t i = 0; i < SIZE; i++) {
        g_assert_cmpuint(counters_get(&c, i), ==, values[i]);
    }
}

/* A piece that is made from many different values has them, in the narrowest way. */
static void test_set(void)
{
    static const struct {
        uint64_t odd; /* the value of one counter, the others being 1 */
        unsigned width;
    } cases[] = {{0, 1}, {255, 1}, {256, 2}, {65535, 2}, {65536, 8}, {UINT64_MAX, 8}};
    uint64_t values[SIZE];

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(Counters) c = {0};

        for (size_t k = 0; k < SIZE; k++) {
            values[k] = k == SIZE - 1 ? cases[i].odd : k % 2;
        }
        g_assert_true(counters_set(&c, SIZE, values, sizeof(*values)));
        g_assert_cmpuint(c.width, ==, cases[i].width);
        g_assert_cmpuint(counters_get(&c, SIZE - 1), ==, cases[i].odd);
        g_assert_cmpuint(counters_get(&c, SIZE - 2), ==, (SIZE - 2) % 2);
    }
}

/* Equal values make a uniform piece, however large they are. */
static void test_set_uniform(void)
{
    uint64_t values[8] = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX,
                          UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    g_auto(Counters) c = {0};

    g_assert_true(counters_set(&c, 8, values, sizeof(*values)));
    g_assert_null(c.data);
    g_assert_cmphex(counters_get(&c, 7), ==, UINT64_MAX);
}

/* Clamping lowers what is above the limit, and nothing else. */
static void test_clamp(void)
{
    static const uint64_t values[4] = {0, 3, 4, 1000};
    g_auto(Counters) c = {0};
    g_auto(Counters) uniform = {.value = 1000};

    g_assert_true(counters_set(&c, 4, values, sizeof(*values)));
    counters_clamp(&c, 4, 3);
    g_assert_cmpuint(counters_get(&c, 0), ==, 0);
    g_assert_cmpuint(counters_get(&c, 1), ==, 3);
    g_assert_cmpuint(counters_get(&c, 2), ==, 3);
    g_assert_cmpuint(counters_get(&c, 3), ==, 3);
    counters_clamp(&uniform, 4, UINT64_MAX);
    g_assert_cmpuint(counters_get(&uniform, 0), ==, 1000);
    counters_clamp(&uniform, 4, 1);
    g_assert_cmpuint(counters_get(&uniform, 3), ==, 1);
}

/* The end of what is used is one behind the last counter that is not 0, within the range asked for. */
static void test_used(void)
{
    g_auto(Counters) c = {0};

    g_assert_true(counters_add(&c, SIZE, 10, 1, 1));
    g_assert_true(counters_add(&c, SIZE, 20, 1, 1));
    g_assert_cmpuint(counters_used(&c, 0, SIZE), ==, 21);
    g_assert_cmpuint(counters_used(&c, 0, 20), ==, 11);
    g_assert_cmpuint(counters_used(&c, 10, 1), ==, 11);
    g_assert_cmpuint(counters_used(&c, 11, 9), ==, 0);
    g_assert_cmpuint(counters_used(&c, 21, SIZE - 21), ==, 0);
}

/* Counters above a limit are found one after the other, in pieces of any width. */
static void test_find_above(void)
{
    for (unsigned shift = 0; shift <= 24; shift += 12) {
        uint64_t unit = UINT64_C(1) << shift;
        g_auto(Counters) c = {0};

        g_assert_true(counters_add(&c, SIZE, 10, 1, 2 * unit));
        g_assert_true(counters_add(&c, SIZE, SIZE - 1, 1, 3 * unit));
        g_assert_cmpuint(counters_find_above(&c, SIZE, 0, unit), ==, 10);
        g_assert_cmpuint(counters_find_above(&c, SIZE, 11, unit), ==, SIZE - 1);
        g_assert_cmpuint(counters_find_above(&c, SIZE, 0, 2 * unit), ==, SIZE - 1);
        g_assert_cmpuint(counters_find_above(&c, SIZE, 0, 3 * unit), ==, SIZE);
        g_assert_cmpuint(counters_find_above(&c, SIZE, SIZE, 0), ==, SIZE);
    }
}

/* The same in a uniform piece. */
static void test_find_above_uniform(void)
{
    Counters c = {.value = 5};

    g_assert_cmpuint(counters_find_above(&c, SIZE, 3, 4), ==, 3);
    g_assert_cmpuint(counters_find_above(&c, SIZE, 3, 5), ==, SIZE);
    g_assert_cmpuint(counters_find_above(&c, SIZE, SIZE, 4), ==, SIZE);
}

#define STRETCH 600

/* A piece of the given width whose counters from @first on count up from 0 and start again at 200. */
static void make_piece(Counters *c, unsigned width, size_t first)
{
    uint64_t values[SIZE];

    for (size_t i = 0; i < SIZE; i++) {
        values[i] = (i + SIZE - first) % SIZE % 200;
    }
    /* one counter outside of the stretch decides about the width */
    values[first > 0 ? 0 : SIZE - 1] = width == 1 ? 255 : width == 2 ? UINT16_MAX : UINT64_MAX;
    g_assert_true(counters_set(c, SIZE, values, sizeof(*values)));
    g_assert_cmpuint(c->width, ==, width);
}

/* The first difference is found wherever the stretches begin, whatever the widths. */
static void test_mismatch(void)
{
    static const unsigned widths[] = {1, 2, 8};
    static const size_t places[] = {0, 1, 7, 8, 63, 64, 65, 255, 256, 257, 319, 320, 511, 512, 598, 599};

    for (unsigned w = 0; w < 9; w++) {
        for (size_t first = 0; first < 9 * 9; first++) {
            size_t a_first = first / 9, b_first = first % 9;
            g_auto(Counters) a = {0};
            g_auto(Counters) b = {0};

            make_piece(&a, widths[w / 3], a_first);
            make_piece(&b, widths[w % 3], b_first);
            g_assert_cmpuint(counters_mismatch(&a, a_first, &b, b_first, STRETCH), ==, STRETCH);
            /* from the last place to the first: each is in front of those before */
            for (size_t i = G_N_ELEMENTS(places); i-- > 0;) {
                g_assert_true(counters_add(&b, SIZE, b_first + places[i], 1, 1));
                g_assert_cmpuint(counters_mismatch(&a, a_first, &b, b_first, STRETCH), ==, places[i]);
                g_assert_cmpuint(counters_mismatch(&b, b_first, &a, a_first, STRETCH), ==, places[i]);
            }
        }
    }
}

/* Two counters that differ in their highest or their lowest byte only are different. */
static void test_mismatch_in_one_byte(void)
{
    for (unsigned shift = 0; shift < 64; shift += 8) {
        uint64_t values[4] = {UINT64_C(0x0101010101010101), 7, UINT64_C(0x0101010101010101), 7};
        g_auto(Counters) a = {0};
        g_auto(Counters) b = {0};

        g_assert_true(counters_set(&a, 4, values, sizeof(*values)));
        values[2] ^= UINT64_C(0x80) << shift;
        g_assert_true(counters_set(&b, 4, values, sizeof(*values)));
        g_assert_cmpuint(counters_mismatch(&a, 0, &b, 0, 4), ==, 2);
        g_assert_cmpuint(counters_mismatch(&a, 3, &b, 3, 1), ==, 1);
    }
}

/* A uniform piece compares with another, and with one that has counters of any width. */
static void test_mismatch_uniform(void)
{
    Counters one = {.value = 1};
    Counters two = {.value = 2};
    Counters wide = {.value = UINT64_C(0x100000001)};

    g_assert_cmpuint(counters_mismatch(&one, 5, &one, 9, STRETCH), ==, STRETCH);
    g_assert_cmpuint(counters_mismatch(&one, 5, &two, 9, STRETCH), ==, 0);
    g_assert_cmpuint(counters_mismatch(&one, 5, &two, 9, 0), ==, 0);
    for (unsigned shift = 0; shift <= 24; shift += 12) {
        for (size_t location = 0; location < STRETCH; location += 23) {
            g_auto(Counters) c = {0};

            g_assert_true(counters_add(&c, SIZE, 0, SIZE, 1));
            g_assert_true(counters_add(&c, SIZE, 9 + location, 1, UINT64_C(1) << shift));
            g_assert_cmpuint(counters_mismatch(&one, 0, &c, 9, STRETCH), ==, location);
            g_assert_cmpuint(counters_mismatch(&c, 9, &one, 0, STRETCH), ==, location);
            g_assert_cmpuint(counters_mismatch(&c, 9, &wide, 0, STRETCH), ==, 0);
            g_assert_cmpuint(counters_mismatch(&c, 10 + location, &one, 0, 9), ==, 9);
        }
    }
}

/* The same counters, kept in the simplest way that there is. */
typedef struct Model {
    uint64_t values[SIZE];
} Model;

static void random_addition(Counters *c, Model *m)
{
    static const uint64_t weights[] = {1, 1, 1, 2, 250, 300, 70000};
    uint64_t weight = weights[g_test_rand_int_range(0, G_N_ELEMENTS(weights))];
    size_t first = g_test_rand_int_range(0, SIZE);
    size_t n = (size_t)g_test_rand_int_range(1, (int)(SIZE - first + 1));

    if (g_test_rand_bit()) {
        g_assert_true(counters_add(c, SIZE, first, n, weight));
        for (size_t i = 0; i < n; i++) {
            m->values[first + i] += weight;
        }
    } else {
        uint16_t at[40];

        n = g_test_rand_int_range(1, G_N_ELEMENTS(at));
        for (size_t i = 0; i < n; i++) {
            at[i] = (uint16_t)g_test_rand_int_range(0, SIZE);
            m->values[at[i]] += weight;
        }
        g_assert_true(counters_add_scattered(c, SIZE, at, n, weight));
    }
}

static void compare_with_model(const Counters *c, const Model *m)
{
    size_t used = 0;

    for (size_t i = 0; i < SIZE; i++) {
        g_assert_cmpuint(counters_get(c, i), ==, m->values[i]);
        for (size_t k = i; k < i + counters_stretch(c, i, SIZE); k++) {
            g_assert_cmpuint(m->values[k], ==, m->values[i]);
        }
        used = m->values[i] ? i + 1 : used;
    }
    g_assert_cmpuint(counters_used(c, 0, SIZE), ==, used);
}

/* Whatever is added in whatever order, a piece has what a plain array would have, in whichever form it is. */
static void test_model(void)
{
    for (unsigned round = 0; round < 200; round++) {
        g_auto(Counters) c = {0};
        g_auto(Counters) copy = {0};
        Model m = {0};
        unsigned additions = g_test_rand_int_range(0, 60);
        size_t location = g_test_rand_int_range(0, SIZE);

        for (unsigned i = 0; i < additions; i++) {
            random_addition(&c, &m);
        }
        compare_with_model(&c, &m);
        g_assert_true(counters_set(&copy, SIZE, m.values, sizeof(*m.values)));
        compare_with_model(&copy, &m);
        g_assert_cmpuint(counters_mismatch(&c, 0, &copy, 0, SIZE), ==, SIZE);
        g_assert_true(counters_add(&c, SIZE, location, 1, 1));
        g_assert_cmpuint(counters_mismatch(&c, 0, &copy, 0, SIZE), ==, location);
        g_assert_cmpuint(counters_mismatch(&copy, 0, &c, 0, SIZE), ==, location);
        counters_clamp(&c, SIZE, 5);
        g_assert_cmpuint(counters_find_above(&c, SIZE, 0, 5), ==, SIZE);
        g_assert_cmpuint(counters_get(&c, location), ==, MIN(m.values[location] + 1, 5));
    }
}

/* As counters_join() has it, in the simplest words. */
static uint64_t model_join(uint64_t a, uint64_t b, uint64_t several)
{
    uint64_t greater = MAX(a, b);

    return a == 0 || a == b ? b : greater > several ? greater : several;
}

/* Labels joined at random, in rows and one by one, are what they are when joined one after the other. */
static void test_join(void)
{
    static const uint64_t several[] = {2, 30, 255, 256, 70000};

    for (size_t s = 0; s < G_N_ELEMENTS(several); s++) {
        g_auto(Counters) c = {0};
        uint64_t model[SIZE] = {0};

        for (unsigned round = 0; round < 400; round++) {
            size_t first = g_test_rand_int_range(0, SIZE);
            size_t n = g_test_rand_int_range(1, round % 2 ? 3 : 300);
            uint64_t label = (uint64_t)g_test_rand_int_range(1, (int)several[s] + 3);

            n = MIN(n, SIZE - first);
            g_assert_true(counters_join(&c, SIZE, first, n, label, several[s]));
            for (size_t i = first; i < first + n; i++) {
                model[i] = model_join(model[i], label, several[s]);
            }
        }
        for (size_t i = 0; i < SIZE; i++) {
            size_t same = 1;
            uint64_t value;

            g_assert_cmpuint(counters_get(&c, i), ==, model[i]);
            while (i + same < SIZE && model[i + same] == model[i]) {
                same++;
            }
            g_assert_cmpuint(counters_same(&c, i, SIZE, &value), ==, same);
            g_assert_cmpuint(value, ==, model[i]);
        }
    }
}

/* Labels that fill a piece in any order are one run in the end. */
static void test_join_to_one_run(void)
{
    g_auto(Counters) c = {0};

    for (size_t i = 0; i < 50; i++) {
        g_assert_true(counters_join(&c, SIZE, (i * 37 % 50) * 14, 14, 3, 9));
    }
    g_assert_cmpuint(c.width, ==, 0);
    g_assert_cmpuint(c.n_runs, ==, 1);
    g_assert_cmpuint(counters_get(&c, 0), ==, 3);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/counters/zeros", test_zeros);
    g_test_add_func("/counters/uniform", test_uniform);
    g_test_add_func("/counters/runs", test_runs);
    g_test_add_func("/counters/widening", test_widening);
    g_test_add_func("/counters/widening-at-once", test_widening_at_once);
    g_test_add_func("/counters/part-of-wide-uniform", test_part_of_wide_uniform);
    g_test_add_func("/counters/saturation", test_saturation);
    g_test_add_func("/counters/saturation-in-array", test_saturation_in_array);
    g_test_add_func("/counters/set-runs", test_set_runs);
    g_test_add_func("/counters/set", test_set);
    g_test_add_func("/counters/set-uniform", test_set_uniform);
    g_test_add_func("/counters/clamp", test_clamp);
    g_test_add_func("/counters/used", test_used);
    g_test_add_func("/counters/find-above", test_find_above);
    g_test_add_func("/counters/find-above-uniform", test_find_above_uniform);
    g_test_add_func("/counters/mismatch", test_mismatch);
    g_test_add_func("/counters/mismatch-in-one-byte", test_mismatch_in_one_byte);
    g_test_add_func("/counters/mismatch-uniform", test_mismatch_uniform);
    g_test_add_func("/counters/join", test_join);
    g_test_add_func("/counters/join-to-one-run", test_join_to_one_run);
    g_test_add_func("/counters/model", test_model);
    return g_test_run();
}
