/*
 * Curves: see ui/map/curve.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/map/curve.h"

/*
 * The Hilbert curve goes through the quarters of its square in this order, and each quarter is such a curve again:
 *
 *     0 1     0: mirrored at the diagonal    1: as it is
 *     3 2     3: mirrored at the other one   2: as it is
 *
 * Mirroring at the other diagonal is mirroring at the first one and turning by half, in whichever order. So a square is
 * in one of four states: MIRRORED or not, TURNED or not. There may be a million cells to find, and two levels at a time
 * are quicker: of each state and each sixteenth of the square the table has column, row and state, two bits each from
 * the lowest on.
 */
enum { MIRRORED = 1, TURNED = 2 };

/* clang-format off */
static const uint8_t sixteenths[4][16] = {
    [0] =
    {0x00, 0x14, 0x15, 0x21, 0x12, 0x03, 0x07, 0x36, 0x1a, 0x0b, 0x0f, 0x3e, 0x2d, 0x39, 0x38, 0x0c},
    [MIRRORED] =
    {0x10, 0x01, 0x05, 0x34, 0x08, 0x1c, 0x1d, 0x29, 0x0a, 0x1e, 0x1f, 0x2b, 0x37, 0x26, 0x22, 0x13},
    [TURNED] =
    {0x2f, 0x3b, 0x3a, 0x0e, 0x3d, 0x2c, 0x28, 0x19, 0x35, 0x24, 0x20, 0x11, 0x02, 0x16, 0x17, 0x23},
    [MIRRORED | TURNED] =
    {0x3f, 0x2e, 0x2a, 0x1b, 0x27, 0x33, 0x32, 0x06, 0x25, 0x31, 0x30, 0x04, 0x18, 0x09, 0x0d, 0x3c},
};
/* clang-format on */

static void hilbert_place(unsigned order, uint32_t index, uint32_t *x, uint32_t *y)
{
    /* a curve of odd order is the first quarter of one that is larger and mirrored */
    unsigned pairs = order / 2 + order % 2;
    unsigned state = order % 2 ? MIRRORED : 0;

    *x = *y = 0;
    while (pairs-- > 0) {
        unsigned found = sixteenths[state][index >> (4 * pairs) & 15];

        *x = *x << 2 | (found & 3);
        *y = *y << 2 | (found >> 2 & 3);
        state = found >> 4;
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
