/*
 * Painting the cells of a picture.
 *
 * Large cells are squares with gaps; where the curve goes on within a run, it bridges the gap. Small ones fill
 * rectangles of the curve. What is wrong is framed in a large cell, and painted last and larger than its cell where
 * cells are small, so that it is to be seen at any scale.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_MAP_PAINT_H
#define UI_MAP_PAINT_H

#include "ui/map/canvas.h"
#include "ui/map/cells.h"

/* One large cell of @size pixels, also for a legend. */
void map_paint_square(MapCanvas *canvas, int x, int y, int size, const MapCell *cell);

/* All cells of @image, the first at @x and @y; what they are used for comes to @totals. */
void map_paint(MapCanvas *canvas, int x, int y, const MapLayout *layout, const MapImage *image, MapTotals *totals);

#endif
