/*
 * Counting with writers: on several threads, single clusters collected by piece.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>

#include "block/clusters/refmap.h"

#define CLUSTERS (5u * COUNTERS_PER_PIECE / 2)
#define THREADS  4

/* What one thread counts, and how often each cluster was counted by it. */
typedef struct Load {
    RefMap *map;
    guint32 seed;
    uint64_t *counted;
} Load;

static void count_random_run(RefMapWriter *writer, GRand *rand, uint64_t *counted)
{
    static const uint64_t weights[] = {1, 1, 2, 300};
    uint64_t first = g_rand_int_range(rand, 0, CLUSTERS);
    uint64_t n = g_rand_int_range(rand, 1, g_rand_boolean(rand) ? 3 : 200);
    uint64_t weight = weights[g_rand_int_range(rand, 0, G_N_ELEMENTS(weights))];

    n = MIN(n, CLUSTERS - first);
    g_assert_true(refmap_writer_add(writer, first, n, weight));
    for (uint64_t i = 0; i < n; i++) {
        counted[first + i] += weight;
    }
}

static gpointer count(gpointer opaque)
{
    Load *load = opaque;
    GRand *rand = g_rand_new_with_seed(load->seed);
    RefMapWriter *writer = refmap_writer_new(load->map);

    for (unsigned i = 0; i < 20000; i++) {
        count_random_run(writer, rand, load->counted);
    }
    g_assert_true(refmap_writer_flush(writer));
    refmap_writer_free(writer);
    g_rand_free(rand);
    return NULL;
}

/* Whatever threads count at once, each reference is counted once. */
static void test_threads(void)
{
    g_autoptr(RefMap) map = refmap_new(CLUSTERS);
    Load loads[THREADS];
    GThread *threads[THREADS];

    for (unsigned i = 0; i < THREADS; i++) {
        loads[i] = (Load){.map = map, .seed = i, .counted = g_new0(uint64_t, CLUSTERS)};
        threads[i] = g_thread_new("count", count, &loads[i]);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        g_thread_join(threads[i]);
    }
    for (uint64_t c = 0; c < CLUSTERS; c++) {
        uint64_t expected = 0;

        for (unsigned i = 0; i < THREADS; i++) {
            expected += loads[i].counted[c];
        }
        g_assert_cmpuint(refmap_get(map, c), ==, expected);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        g_free(loads[i].counted);
    }
}

/* A cluster behind the file that a writer counts lets the map grow, once it is flushed. */
static void test_grow(void)
{
    g_autoptr(RefMap) map = refmap_new(100);
    RefMapWriter *writer = refmap_writer_new(map);

    g_assert_true(refmap_writer_add(writer, 100, 1, 7));
    g_assert_true(refmap_writer_flush(writer));
    g_assert_cmpuint(refmap_clusters(map), ==, 101);
    g_assert_cmpuint(refmap_get(map, 100), ==, 7);
    refmap_writer_free(writer);
}

/* Pieces that share a bucket, because there are more pieces than buckets, keep their clusters apart. */
static void test_shared_buckets(void)
{
    const uint64_t far = UINT64_C(8192) * COUNTERS_PER_PIECE;
    g_autoptr(RefMap) map = refmap_new(4 * far);
    RefMapWriter *writer = refmap_writer_new(map);

    for (unsigned round = 0; round < 3; round++) {
        for (uint64_t i = 0; i < 4; i++) {
            g_assert_true(refmap_writer_add(writer, i * far + 5, 1, 1));
        }
    }
    g_assert_true(refmap_writer_flush(writer));
    for (uint64_t i = 0; i < 4; i++) {
        g_assert_cmpuint(refmap_get(map, i * far + 5), ==, 3);
        g_assert_cmpuint(refmap_get(map, i * far + 4), ==, 0);
    }
    refmap_writer_free(writer);
}

static gpointer label(gpointer opaque)
{
    Load *load = opaque;
    RefMapWriter *writer = refmap_writer_new(load->map);

    /* cluster i gets the label of each thread whose bit is set in i % 16 */
    for (uint64_t i = 0; i < CLUSTERS; i++) {
        if (i >> load->seed & 1) {
            g_assert_true(refmap_writer_add(writer, i, 1, load->seed + 1));
        }
    }
    g_assert_true(refmap_writer_flush(writer));
    refmap_writer_free(writer);
    return NULL;
}

/* A cluster keeps the label that all threads give it, and has that for several where they differ. */
static void test_labels(void)
{
    const uint64_t several = THREADS + 1;
    g_autoptr(RefMap) map = refmap_new_labels(CLUSTERS, several);
    Load loads[THREADS];
    GThread *threads[THREADS];

    for (unsigned i = 0; i < THREADS; i++) {
        loads[i] = (Load){.map = map, .seed = i};
        threads[i] = g_thread_new("label", label, &loads[i]);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        g_thread_join(threads[i]);
    }
    for (uint64_t i = 0; i < CLUSTERS; i++) {
        static const uint64_t expected[16] = {[1 << 0] = 1, [1 << 1] = 2, [1 << 2] = 3, [1 << 3] = 4, [0] = 0};
        uint64_t bits = i % 16;

        g_assert_cmpuint(refmap_get(map, i), ==, bits && !expected[bits] ? several : expected[bits]);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/refmap-writer/threads", test_threads);
    g_test_add_func("/refmap-writer/grow", test_grow);
    g_test_add_func("/refmap-writer/shared-buckets", test_shared_buckets);
    g_test_add_func("/refmap-writer/labels", test_labels);
    return g_test_run();
}
