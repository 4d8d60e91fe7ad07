/*
 * How many clusters a cell of a picture stands for, and how large it is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/map/layout.h"

#include <glib.h>

static void expect_layout(MapCurve curve, uint64_t clusters, MapLayout expected)
{
    MapLayout layout = map_layout(curve, clusters);

    g_assert_cmpuint(layout.clusters, ==, clusters);
    g_assert_cmpuint(layout.order, ==, expected.order);
    g_assert_cmpuint(layout.clusters_per_cell, ==, expected.clusters_per_cell);
    g_assert_cmpuint(layout.cells, ==, expected.cells);
    g_assert_cmpuint(layout.columns, ==, expected.columns);
    g_assert_cmpuint(layout.rows, ==, expected.rows);
    g_assert_cmpuint(layout.cell, ==, expected.cell);
}

#define LAYOUT(order_, per_cell_, cells_, columns_, rows_, cell_)                                                      \
    ((MapLayout){.order = order_,                                                                                      \
                 .clusters_per_cell = per_cell_,                                                                       \
                 .cells = cells_,                                                                                      \
                 .columns = columns_,                                                                                  \
                 .rows = rows_,                                                                                        \
                 .cell = cell_})

/* A small file has large squares, one a cluster. Only what the curve reaches is shown, as large as fits. */
static void test_small(void)
{
    expect_layout(MAP_CURVE_HILBERT, 0, LAYOUT(0, 1, 0, 1, 1, 128));
    expect_layout(MAP_CURVE_HILBERT, 1, LAYOUT(0, 1, 1, 1, 1, 128));
    expect_layout(MAP_CURVE_HILBERT, 2, LAYOUT(1, 1, 2, 2, 1, 128));
    expect_layout(MAP_CURVE_HILBERT, 3, LAYOUT(1, 1, 3, 2, 2, 128));
    expect_layout(MAP_CURVE_HILBERT, 4, LAYOUT(1, 1, 4, 2, 2, 128));
    expect_layout(MAP_CURVE_HILBERT, 5, LAYOUT(2, 1, 5, 3, 2, 128));
    expect_layout(MAP_CURVE_HILBERT, 64, LAYOUT(3, 1, 64, 8, 8, 128));
    expect_layout(MAP_CURVE_HILBERT, 65, LAYOUT(4, 1, 65, 9, 8, 113));
}

/* A million clusters are the most of which each has a point; of more, two share one. */
static void test_edge(void)
{
    expect_layout(MAP_CURVE_HILBERT, 1 << 20, LAYOUT(10, 1, 1 << 20, 1024, 1024, 1));
    expect_layout(MAP_CURVE_HILBERT, (1 << 20) + 1, LAYOUT(10, 2, (1 << 19) + 1, 1024, 513, 1));
    expect_layout(MAP_CURVE_HILBERT, (1 << 20) - 1, LAYOUT(10, 1, (1 << 20) - 1, 1024, 1024, 1));
}

/* 16 TiB are 2^28 clusters of 64 KiB; then more than any image has, up to more than any number says. */
static void test_large(void)
{
    expect_layout(MAP_CURVE_HILBERT, UINT64_C(1) << 28, LAYOUT(10, 1 << 8, 1 << 20, 1024, 1024, 1));
    expect_layout(MAP_CURVE_HILBERT, UINT64_C(1) << 31, LAYOUT(10, 1 << 11, 1 << 20, 1024, 1024, 1));
    expect_layout(MAP_CURVE_HILBERT, UINT64_C(1) << 38, LAYOUT(10, 1 << 18, 1 << 20, 1024, 1024, 1));
    expect_layout(MAP_CURVE_HILBERT, UINT64_MAX, LAYOUT(10, UINT64_C(1) << 44, 1 << 20, 1024, 1024, 1));
}

/* Rows are shown as far as they are needed. */
static void test_linear(void)
{
    expect_layout(MAP_CURVE_LINEAR, 0, LAYOUT(0, 1, 0, 1, 1, 128));
    expect_layout(MAP_CURVE_LINEAR, 5, LAYOUT(2, 1, 5, 4, 2, 128));
    expect_layout(MAP_CURVE_LINEAR, 4097, LAYOUT(7, 1, 4097, 128, 33, 8));
    expect_layout(MAP_CURVE_LINEAR, (1 << 20) + 1, LAYOUT(10, 2, (1 << 19) + 1, 1024, 513, 1));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/map-layout/small", test_small);
    g_test_add_func("/map-layout/edge", test_edge);
    g_test_add_func("/map-layout/large", test_large);
    g_test_add_func("/map-layout/linear", test_linear);
    return g_test_run();
}
