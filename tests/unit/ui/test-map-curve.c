/*
 * The curves along which clusters lie in a picture.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/map/curve.h"

#include <glib.h>
#include <stdbool.h>
#include <stdlib.h>

static MapBlock place(MapCurve curve, unsigned order, uint32_t index)
{
    MapBlock block;

    g_assert_cmpuint(map_curve_block(curve, order, index, 1, &block), ==, 1);
    g_assert_cmpuint(block.width, ==, 1);
    g_assert_cmpuint(block.height, ==, 1);
    return block;
}

static void expect_path(MapCurve curve, unsigned order, const char *expected)
{
    g_autoptr(GString) path = g_string_new(NULL);

    for (uint32_t i = 0; i < 1u << (2 * order); i++) {
        MapBlock cell = place(curve, order, i);

        g_string_append_printf(path, "%u%u ", cell.x, cell.y);
    }
    g_assert_cmpstr(path->str, ==, expected);
}

/* Drawn by hand: from the top left to the bottom left, through the top right and the bottom right. */
static void test_hilbert_by_hand(void)
{
    expect_path(MAP_CURVE_HILBERT, 0, "00 ");
    expect_path(MAP_CURVE_HILBERT, 1, "00 10 11 01 ");
    expect_path(MAP_CURVE_HILBERT, 2, "00 01 11 10 20 30 31 21 22 32 33 23 13 12 02 03 ");
}

/* Rows from the left to the right. */
static void test_linear_by_hand(void)
{
    expect_path(MAP_CURVE_LINEAR, 0, "00 ");
    expect_path(MAP_CURVE_LINEAR, 1, "00 10 01 11 ");
    expect_path(MAP_CURVE_LINEAR, 2, "00 10 20 30 01 11 21 31 02 12 22 32 03 13 23 33 ");
}

/* Every cell of the square comes exactly once. */
static void test_bijection(void)
{
    for (MapCurve curve = MAP_CURVE_HILBERT; curve <= MAP_CURVE_LINEAR; curve++) {
        for (unsigned order = 0; order <= 10; order++) {
            uint32_t side = 1u << order;
            g_autofree bool *seen = g_new0(bool, side *side);

            for (uint32_t i = 0; i < side * side; i++) {
                MapBlock cell = place(curve, order, i);

                g_assert_cmpuint(cell.x, <, side);
                g_assert_cmpuint(cell.y, <, side);
                g_assert_false(seen[cell.y * side + cell.x]);
                seen[cell.y * side + cell.x] = true;
            }
        }
    }
}

/* Each cell of a Hilbert curve has the next one beside it. */
static void test_neighbours(void)
{
    for (unsigned order = 1; order <= 10; order++) {
        MapBlock last = place(MAP_CURVE_HILBERT, order, 0);

        for (uint32_t i = 1; i < 1u << (2 * order); i++) {
            MapBlock cell = place(MAP_CURVE_HILBERT, order, i);
            int distance = abs((int)cell.x - (int)last.x) + abs((int)cell.y - (int)last.y);

            g_assert_cmpint(distance, ==, 1);
            last = cell;
        }
    }
}

/* Numbers suffice for the largest order: it ends at the bottom left, and its third quarter begins in the middle. */
static void test_largest_order(void)
{
    uint32_t end = (1u << MAP_ORDER_MAX) - 1;
    MapBlock block = place(MAP_CURVE_HILBERT, MAP_ORDER_MAX, (1u << (2 * MAP_ORDER_MAX)) - 1);

    g_assert_cmpuint(block.x, ==, 0);
    g_assert_cmpuint(block.y, ==, end);
    block = place(MAP_CURVE_HILBERT, MAP_ORDER_MAX, 1u << (2 * MAP_ORDER_MAX - 1));
    g_assert_cmpuint(block.x, ==, (end + 1) / 2);
    g_assert_cmpuint(block.y, ==, (end + 1) / 2);
}

static bool is_inside(const MapBlock *cell, const MapBlock *block)
{
    return cell->x >= block->x && cell->x - block->x < block->width && cell->y >= block->y &&
           cell->y - block->y < block->height;
}

/* The blocks of a range have all of its cells and, by their size, no other. Returns how many blocks these are. */
static unsigned expect_blocks(MapCurve curve, unsigned order, uint32_t first, uint32_t n)
{
    unsigned blocks = 0;

    while (n > 0) {
        MapBlock block;
        uint32_t part = map_curve_block(curve, order, first, n, &block);

        g_assert_cmpuint(part, <=, n);
        g_assert_cmpuint(block.width * block.height, ==, part);
        for (uint32_t i = 0; i < part; i++) {
            MapBlock cell = place(curve, order, first + i);

            g_assert_true(is_inside(&cell, &block));
        }
        first += part;
        n -= part;
        blocks++;
    }
    return blocks;
}

/* Any range is made up of blocks. */
static void test_blocks(void)
{
    for (MapCurve curve = MAP_CURVE_HILBERT; curve <= MAP_CURVE_LINEAR; curve++) {
        for (unsigned order = 0; order <= 3; order++) {
            uint32_t cells = 1u << (2 * order);

            for (uint32_t first = 0; first < cells; first++) {
                for (uint32_t n = 1; n <= cells - first; n++) {
                    expect_blocks(curve, order, first, n);
                }
            }
        }
    }
}

/* A long run is few blocks: 3 of each of the 9 smaller sizes at either end, and 2 quarters; or 3 with rows. */
static void test_few_blocks(void)
{
    g_assert_cmpuint(expect_blocks(MAP_CURVE_HILBERT, 10, 0, 1u << 20), ==, 1);
    g_assert_cmpuint(expect_blocks(MAP_CURVE_HILBERT, 10, 1, (1u << 20) - 2), ==, 2 * 9 * 3 + 2);
    g_assert_cmpuint(expect_blocks(MAP_CURVE_LINEAR, 10, 0, 1u << 20), ==, 1);
    g_assert_cmpuint(expect_blocks(MAP_CURVE_LINEAR, 10, 1, (1u << 20) - 2), ==, 3);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/map-curve/hilbert-by-hand", test_hilbert_by_hand);
    g_test_add_func("/map-curve/linear-by-hand", test_linear_by_hand);
    g_test_add_func("/map-curve/bijection", test_bijection);
    g_test_add_func("/map-curve/neighbours", test_neighbours);
    g_test_add_func("/map-curve/largest-order", test_largest_order);
    g_test_add_func("/map-curve/blocks", test_blocks);
    g_test_add_func("/map-curve/few-blocks", test_few_blocks);
    return g_test_run();
}
