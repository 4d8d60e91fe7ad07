/*
 * The map of computed reference counts.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/clusters/refmap.h"

/* Nothing is counted in a new map, and nothing is in it. */
static void test_empty(void)
{
    g_autoptr(RefMap) map = refmap_new(100);
    uint64_t index = 0;

    g_assert_cmpuint(refmap_clusters(map), ==, 100);
    g_assert_cmpuint(refmap_get(map, 0), ==, 0);
    g_assert_cmpuint(refmap_get(map, 99), ==, 0);
    g_assert_null(refmap_next_piece(map, &index));
}

/* A file without any cluster has a map too, which can grow. */
static void test_no_clusters(void)
{
    g_autoptr(RefMap) map = refmap_new(0);

    g_assert_cmpuint(refmap_clusters(map), ==, 0);
    g_assert_true(refmap_add(map, 0, 1, 1));
    g_assert_cmpuint(refmap_clusters(map), ==, 1);
    g_assert_cmpuint(refmap_get(map, 0), ==, 1);
}

/* A row of clusters is counted once each, across the border of pieces too. */
static void test_rows(void)
{
    g_autoptr(RefMap) map = refmap_new(100000);

    g_assert_true(refmap_add(map, 32766, 32772, 3)); /* the last two of piece 0, all of piece 1, two of piece 2 */
    g_assert_true(refmap_add(map, 32768, 1, 4));
    g_assert_cmpuint(refmap_get(map, 32765), ==, 0);
    g_assert_cmpuint(refmap_get(map, 32766), ==, 3);
    g_assert_cmpuint(refmap_get(map, 32767), ==, 3);
    g_assert_cmpuint(refmap_get(map, 32768), ==, 7);
    g_assert_cmpuint(refmap_get(map, 32769), ==, 3);
    g_assert_cmpuint(refmap_get(map, 65535), ==, 3);
    g_assert_cmpuint(refmap_get(map, 65537), ==, 3);
    g_assert_cmpuint(refmap_get(map, 65538), ==, 0);
}

/* The map grows by the cluster behind the file when that is touched, at the border of a piece too. */
static void test_growing(void)
{
    static const uint64_t sizes[] = {1, 32767, 32768, 32769, UINT64_C(1024) << 15, UINT64_C(1) << 35};

    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autoptr(RefMap) map = refmap_new(sizes[i]);

        g_assert_true(refmap_add(map, sizes[i] - 1, 2, 1));
        g_assert_cmpuint(refmap_clusters(map), ==, sizes[i] + 1);
        g_assert_cmpuint(refmap_get(map, sizes[i] - 1), ==, 1);
        g_assert_cmpuint(refmap_get(map, sizes[i]), ==, 1);
    }
}

/* Cluster numbers of any size are kept apart: two that differ in one bit do not share a counter. */
static void test_huge_numbers(void)
{
    g_autoptr(RefMap) map = refmap_new(UINT64_C(1) << 54);

    for (unsigned bit = 0; bit < 54; bit++) {
        g_assert_true(refmap_add(map, UINT64_C(1) << bit, 1, bit + 1));
    }
    g_assert_true(refmap_add(map, (UINT64_C(1) << 54) - 1, 1, 99));
    g_assert_cmpuint(refmap_get(map, 0), ==, 0);
    for (unsigned bit = 0; bit < 54; bit++) {
        g_assert_cmpuint(refmap_get(map, UINT64_C(1) << bit), ==, bit + 1);
    }
    g_assert_cmpuint(refmap_get(map, (UINT64_C(1) << 54) - 1), ==, 99);
    g_assert_cmpuint(refmap_clusters(map), ==, UINT64_C(1) << 54);
}

/* Going through the pieces meets each that exists once, in order, and starts at the index given. */
static void test_next_piece(void)
{
    static const uint64_t pieces[] = {0,
                                      1,
                                      1023,
                                      1024,
                                      1025,
                                      5000,
                                      UINT64_C(1) << 20,
                                      (UINT64_C(1) << 20) + 1023,
                                      (UINT64_C(1) << 30) + 7,
                                      (UINT64_C(1) << 39) - 1};
    g_autoptr(RefMap) map = refmap_new(UINT64_C(1) << 54);
    uint64_t index = 0;

    for (size_t i = G_N_ELEMENTS(pieces); i-- > 0;) {
        g_assert_true(refmap_add(map, (pieces[i] << 15) + i, 1, i + 1));
    }
    for (size_t i = 0; i < G_N_ELEMENTS(pieces); i++, index++) {
        Counters *piece = refmap_next_piece(map, &index);

        g_assert_nonnull(piece);
        g_assert_cmpuint(index, ==, pieces[i]);
        g_assert_cmpuint(counters_get(piece, i), ==, i + 1);
    }
    g_assert_null(refmap_next_piece(map, &index));
    index = 1026;
    g_assert_nonnull(refmap_next_piece(map, &index));
    g_assert_cmpuint(index, ==, 5000);
    index = UINT64_MAX >> 15;
    g_assert_null(refmap_next_piece(map, &index));
}

/* Clusters that are far apart need no memory for what is between them: the pieces are as many as were touched. */
static void test_sparse(void)
{
    g_autoptr(RefMap) map = refmap_new(UINT64_C(1) << 54);
    unsigned n = 0;

    for (uint64_t i = 0; i < 8; i++) {
        g_assert_true(refmap_add(map, i << 50, 1, 1));
    }
    for (uint64_t index = 0; refmap_next_piece(map, &index); index++) {
        n++;
    }
    g_assert_cmpuint(n, ==, 8);
}

/* Runs have no zeros in them, begin and end with what is asked for, and end with their piece. */
static void test_next_run(void)
{
    const uint64_t piece = COUNTERS_PER_PIECE;
    const struct {
        uint64_t at, end, first, n, count;
    } cases[] = {
        {0, UINT64_MAX, 10, 20, 3},
        {12, 15, 12, 3, 3},
        {30, UINT64_MAX, piece - 2, 2, 1},
        {piece, UINT64_MAX, piece, 5, 1},
        {piece + 5, UINT64_MAX, 7 * piece + 1, 1, UINT64_MAX},
    };
    g_autoptr(RefMap) map = refmap_new(8 * piece);
    RefMapRun run;

    g_assert_false(refmap_next_run(map, 0, UINT64_MAX, &run));
    g_assert_true(refmap_add(map, 10, 20, 3));
    g_assert_true(refmap_add(map, piece - 2, 7, 1));
    g_assert_true(refmap_add(map, 7 * piece + 1, 1, UINT64_MAX));
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_assert_true(refmap_next_run(map, cases[i].at, cases[i].end, &run));
        g_assert_cmpuint(run.first, ==, cases[i].first);
        g_assert_cmpuint(run.n, ==, cases[i].n);
        g_assert_cmpuint(run.count, ==, cases[i].count);
    }
    g_assert_false(refmap_next_run(map, 30, piece - 2, &run));
    g_assert_false(refmap_next_run(map, 7 * piece + 2, UINT64_MAX, &run));
}

/* References are taken away one cluster at a time, and never below none. */
static void test_subtract(void)
{
    g_autoptr(RefMap) map = refmap_new(100);

    g_assert_true(refmap_add(map, 0, 100, 3));
    g_assert_true(refmap_subtract(map, 7, 1));
    g_assert_true(refmap_subtract(map, 8, 5));
    g_assert_true(refmap_subtract(map, 99999, 1)); /* where nothing is counted */
    g_assert_cmpuint(refmap_get(map, 6), ==, 3);
    g_assert_cmpuint(refmap_get(map, 7), ==, 2);
    g_assert_cmpuint(refmap_get(map, 8), ==, 0);
    g_assert_cmpuint(refmap_get(map, 9), ==, 3);
}

/* A map grows to twice its length and more, but not beyond what its directory can find. */
static void test_far_growing(void)
{
    g_autoptr(RefMap) map = refmap_new(UINT64_C(1) << 24);

    g_assert_true(refmap_add(map, (UINT64_C(1) << 25) - 1, 1, 2));
    g_assert_cmpuint(refmap_clusters(map), ==, UINT64_C(1) << 25);
    g_assert_cmpuint(refmap_get(map, (UINT64_C(1) << 25) - 1), ==, 2);
    g_assert_false(refmap_add(map, UINT64_C(1) << 54, 1, 1));
    g_assert_cmpuint(refmap_get(map, UINT64_C(1) << 54), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/refmap/empty", test_empty);
    g_test_add_func("/refmap/no-clusters", test_no_clusters);
    g_test_add_func("/refmap/rows", test_rows);
    g_test_add_func("/refmap/growing", test_growing);
    g_test_add_func("/refmap/huge-numbers", test_huge_numbers);
    g_test_add_func("/refmap/next-piece", test_next_piece);
    g_test_add_func("/refmap/next-run", test_next_run);
    g_test_add_func("/refmap/sparse", test_sparse);
    g_test_add_func("/refmap/subtract", test_subtract);
    g_test_add_func("/refmap/far-growing", test_far_growing);
    return g_test_run();
}
