/*
 * Curves: see ui/map-curve.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/map-curve.h"

/*
 * The Hilbert curve goes through the quarters of its square in this order, and each quarter is such a curve again:
 *
 *     0 1     0: mirrored at the diagonal    1: as it is
 *     3 2     3: mirrored at the other one   2: as it is
 *
 * Mirroring at the other diagonal is mirroring at the first one and turning by half, in whichever order.
 */
static void hilbert_place(unsigned order, uint32_t index, uint32_t *x, uint32_t *y)
{
    uint32_t mirrored = 0, turned = 0; /* 0 or 1 */

    *x = *y = 0;
    while (order-- > 0) {
        uint32_t quarter = index >> (2 * order) & 3;
        uint32_t right = quarter == 1 || quarter == 2;
        uint32_t low = quarter >= 2;

        *x = *x << 1 | ((mirrored ? low : right) ^ turned);
        *y = *y << 1 | ((mirrored ? right : low) ^ turned);
        mirrored ^= quarter == 0 || quarter == 3;
        turned ^= quarter == 3;
    }
}

/* Four to the power of this many cells, aligned to as much, are a square; and where it lies, a curve of that much lower
 * order tells. */
static uint32_t hilbert_block(unsigned order, uint32_t first, uint32_t n, MapBlock *block)
{
    unsigned level = 0;

    while (level < order && (first >> (2 * level) & 3) == 0 && n >> (2 * level) >= 4) {
        level++;
    }
    hilbert_place(order - level, first >> (2 * level), &block->x, &block->y);
    block->x <<= level;
    block->y <<= level;
    block->width = block->height = 1u << level;
    return 1u << (2 * level);
}

/* The rest of a row, or as many whole rows as there are. */
static uint32_t linear_block(unsigned order, uint32_t first, uint32_t n, MapBlock *block)
{
    uint32_t side = 1u << order;
    uint32_t x = first & (side - 1);
    uint32_t left = side - x;

    *block = (MapBlock){.x = x, .y = first >> order, .width = n < left ? n : left, .height = 1};
    if (x == 0 && n >= side) {
        block->height = n >> order;
    }
    return block->width * block->height;
}

uint32_t map_curve_block(MapCurve curve, unsigned order, uint32_t first, uint32_t n, MapBlock *block)
{
    return curve == MAP_CURVE_HILBERT ? hilbert_block(order, first, n, block) : linear_block(order, first, n, block);
}
