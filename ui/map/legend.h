/*
 * The legend below a picture: what it shows, what a cell stands for, and the colours with the bytes of each role.
 *
 * No name of the image is in it, so that a picture can be shown to anyone.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_MAP_LEGEND_H
#define UI_MAP_LEGEND_H

#include "ui/map/canvas.h"
#include "ui/map/cells.h"

#define MAP_LEGEND_WIDTH_LEAST 680 /* pixels */

/* The most pixels of height that a legend of @width takes. */
int map_legend_height(int width);

/* Returns the pixels of height that it took. */
int map_legend_draw(MapCanvas *canvas, int x, int y, int width, const MapLayout *layout, const MapImage *image,
                    const MapTotals *totals);

#endif
