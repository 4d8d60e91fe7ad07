/*
 * The curves along which clusters lie in a picture.
 *
 * A curve fills a square of 2^order by 2^order cells, order 0 .. MAP_ORDER_MAX, and begins at the top left. The unit is
 * the cell, counted from 0. Nothing here allocates or fails.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_MAP_CURVE_H
#define UI_MAP_CURVE_H

#include <stdint.h>

/* The order of clusters in the picture. */
typedef enum MapCurve {
    MAP_CURVE_HILBERT, /* neighbours in the file are neighbours in the picture */
    MAP_CURVE_LINEAR,  /* row by row */
} MapCurve;

#define MAP_ORDER_MAX 15u

/* Cells @x to @x + @width - 1 of the rows @y to @y + @height - 1. */
typedef struct MapBlock {
    uint32_t x, y, width, height;
} MapBlock;

/*
 * Sets @block to the largest rectangle that the curve fills from its cell @first on with at most @n cells (at least 1,
 * at most the rest of the curve), and returns the number of cells in it. With @n of 1 that is the position of a cell.
 */
uint32_t map_curve_block(MapCurve curve, unsigned order, uint32_t first, uint32_t n, MapBlock *block);

#endif
