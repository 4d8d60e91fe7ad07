/*
 * A canvas for plain shapes and text, drawn by pixman.
 *
 * Colours are 0xRRGGBB; places and sizes are pixels, from the top left. What lies outside the canvas is left out.
 * A canvas belongs to who made it, and to one thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_MAP_CANVAS_H
#define UI_MAP_CANVAS_H

#include <glib.h>
#include <stdint.h>

typedef uint32_t MapColour;

typedef struct MapCanvas MapCanvas;

/* A canvas of one colour. NULL when there is no memory. */
MapCanvas *map_canvas_new(int width, int height, MapColour colour);
void map_canvas_free(MapCanvas *canvas);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MapCanvas, map_canvas_free)

int map_canvas_width(const MapCanvas *canvas);
int map_canvas_height(const MapCanvas *canvas);

/* The pixels of a row, each 0x00RRGGBB. */
const uint32_t *map_canvas_row(const MapCanvas *canvas, int y);

void map_canvas_fill(MapCanvas *canvas, int x, int y, int width, int height, MapColour colour);

/* Diagonal stripes of @colour, with what was there before in between. */
void map_canvas_stripes(MapCanvas *canvas, int x, int y, int width, int height, MapColour colour);

/* A frame of @thickness, inside the rectangle. */
void map_canvas_frame(MapCanvas *canvas, int x, int y, int width, int height, int thickness, MapColour colour);

/* @text, whose first character begins at @x, and whose letters have their top at @y. */
void map_canvas_text(MapCanvas *canvas, int x, int y, const char *text, MapColour colour);

#endif
