/*
 * Painting the cells of a picture.
 *
 * Large cells are squares with gaps, which the curve bridges within a run. Small cells fill rectangles of the curve. A
 * seam is a black line, or, among the smallest cells, a darker one, with which the next piece begins. A fault is a
 * frame in a large cell; among small ones it is painted last and larger than its cell, so that it shows at any scale.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_MAP_PAINT_H
#define UI_MAP_PAINT_H

#include "ui/map/canvas.h"
#include "ui/map/cells.h"

/* Paints one large cell of @size pixels, also for the legend. */
void map_paint_square(MapCanvas *canvas, int x, int y, int size, const MapCell *cell);

/* Paints all cells of @image, the first at @x and @y, and sums up its clusters in @totals. */
void map_paint(MapCanvas *canvas, int x, int y, const MapLayout *layout, const MapImage *image, MapTotals *totals);

#endif
