/*
 * The curves along which the clusters of a file lie in a picture of it.
 *
 * A curve fills a square of 2^order by 2^order cells, order 0 .. MAP_ORDER_MAX, and begins at the top left. Everything
 * is counted in cells, from 0. Pure: nothing is allocated, nothing fails.
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
 * The largest rectangle of cells that the curve fills from its cell @first on, and of which it needs no more than @n
 * (at least 1, and no more than the curve has from there). Returns how many cells these are. @n of 1 gives the place of
 * a cell.
 */
uint32_t map_curve_block(MapCurve curve, unsigned order, uint32_t first, uint32_t n, MapBlock *block);

#endif
