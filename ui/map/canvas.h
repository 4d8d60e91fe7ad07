/*
 * A canvas for plain shapes and text, drawn with pixman.
 *
 * Colours are 0xRRGGBB; places and sizes are pixels, from the top left. What lies outside the canvas is left out.
 * Pixels are a byte each, the number of a colour, as the file that is made of them has them: few colours are used, and
 * filling four times the memory is most of what a picture would cost. A canvas belongs to who made it, and to one
 * thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_MAP_CANVAS_H
#define UI_MAP_CANVAS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef uint32_t MapColour;

#define MAP_COLOURS_MOST 256

/* The colours that a canvas has, in the order in which they were first used. */
typedef struct MapColours {
    unsigned n;
    bool too_many; /* there were more; what should have had them has the last one */
    MapColour colours[MAP_COLOURS_MOST];
} MapColours;

typedef struct MapCanvas MapCanvas;

/* A canvas of one colour. NULL when there is no memory. */
MapCanvas *map_canvas_new(int width, int height, MapColour colour);
void map_canvas_free(MapCanvas *canvas);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MapCanvas, map_canvas_free)

int map_canvas_width(const MapCanvas *canvas);
int map_canvas_height(const MapCanvas *canvas);

const MapColours *map_canvas_colours(const MapCanvas *canvas);

/* The pixels of a row, each a number of its colour. */
const uint8_t *map_canvas_row(const MapCanvas *canvas, int y);

void map_canvas_fill(MapCanvas *canvas, int x, int y, int width, int height, MapColour colour);

/* Diagonal stripes of @colour, with what was there before in between. */
void map_canvas_stripes(MapCanvas *canvas, int x, int y, int width, int height, MapColour colour);

/* A frame of @thickness, inside the rectangle. */
void map_canvas_frame(MapCanvas *canvas, int x, int y, int width, int height, int thickness, MapColour colour);

/* @text, whose first character begins at @x, and whose letters have their top at @y. */
void map_canvas_text(MapCanvas *canvas, int x, int y, const char *text, MapColour colour);

#endif
