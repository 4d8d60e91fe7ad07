/*
 * A canvas for plain shapes and text, drawn with pixman.
 *
 * Colours are 0xRRGGBB; positions and sizes are pixels, from the top left. Shapes are clipped to the canvas. A pixel is
 * one byte, the number of a colour, as in the PNG file: filling four times the memory would be most of the cost of a
 * picture. The caller owns the canvas. Not thread-safe.
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

/* The colours of a canvas, in the order of their first use. */
typedef struct MapColours {
    unsigned n;
    bool too_many; /* more colours were used; their pixels have the last one */
    MapColour colours[MAP_COLOURS_MOST];
} MapColours;

typedef struct MapCanvas MapCanvas;

/* Returns a canvas of one colour; NULL if there is no memory. */
MapCanvas *map_canvas_new(int width, int height, MapColour colour);
void map_canvas_free(MapCanvas *canvas);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MapCanvas, map_canvas_free)

int map_canvas_width(const MapCanvas *canvas);
int map_canvas_height(const MapCanvas *canvas);

const MapColours *map_canvas_colours(const MapCanvas *canvas);

/* Returns the pixels of row @y, each an index in the colours. */
const uint8_t *map_canvas_row(const MapCanvas *canvas, int y);

void map_canvas_fill(MapCanvas *canvas, int x, int y, int width, int height, MapColour colour);

/* Draws diagonal stripes of @colour, and leaves the pixels between them. */
void map_canvas_stripes(MapCanvas *canvas, int x, int y, int width, int height, MapColour colour);

/* Draws a frame of @thickness inside the rectangle. */
void map_canvas_frame(MapCanvas *canvas, int x, int y, int width, int height, int thickness, MapColour colour);

/* Draws @text: its first character begins at @x, and @y is the top of its capital letters. */
void map_canvas_text(MapCanvas *canvas, int x, int y, const char *text, MapColour colour);

#endif
