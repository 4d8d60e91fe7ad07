/*
 * A canvas: see ui/map/canvas.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/map/canvas.h"

#include <pixman.h>
#include <string.h>

#include "ui/map/font.h"

#define STRIPES 8 /* pixels from one to the next */

/* Colours are looked up for each shape, of which there may be a million. */
#define SLOT_BITS 10
#define SLOTS     (1u << SLOT_BITS) /* four times as many as there may be colours: chains are short */

struct MapCanvas {
    int width, height;
    size_t stride; /* bytes from row to row, a multiple of 4 */
    uint8_t *pixels;
    MapColours colours;
    uint16_t slots[SLOTS]; /* 1 + the number of a colour, from where its hash says; 0: none */
};

/* ---- colours ---- */

static unsigned first_slot(MapColour colour)
{
    return colour * 0x9e3779b1u >> (32 - SLOT_BITS);
}

/* The number of @colour, which is added if it is new. */
static uint8_t colour_number(MapCanvas *canvas, MapColour colour)
{
    MapColours *c = &canvas->colours;
    unsigned slot = first_slot(colour);

    while (canvas->slots[slot]) {
        if (c->colours[canvas->slots[slot] - 1] == colour) {
            return (uint8_t)(canvas->slots[slot] - 1);
        }
        slot = (slot + 1) % SLOTS;
    }
    if (c->n == MAP_COLOURS_MOST) {
        c->too_many = true;
        return MAP_COLOURS_MOST - 1;
    }
    c->colours[c->n++] = colour;
    canvas->slots[slot] = (uint16_t)c->n;
    return (uint8_t)(c->n - 1);
}

const MapColours *map_canvas_colours(const MapCanvas *canvas)
{
    return &canvas->colours;
}

/* ---- the canvas ---- */

MapCanvas *map_canvas_new(int width, int height, MapColour colour)
{
    g_autoptr(MapCanvas) canvas = g_new0(MapCanvas, 1);

    canvas->width = width;
    canvas->height = height;
    canvas->stride = ((size_t)width + 3) & ~(size_t)3;
    canvas->pixels = g_try_malloc0(canvas->stride * (size_t)height); /* all of the first colour, which is number 0 */
    colour_number(canvas, colour);
    return canvas->pixels ? g_steal_pointer(&canvas) : NULL;
}

void map_canvas_free(MapCanvas *canvas)
{
    g_free(canvas->pixels);
    g_free(canvas);
}

int map_canvas_width(const MapCanvas *canvas)
{
    return canvas->width;
}

int map_canvas_height(const MapCanvas *canvas)
{
    return canvas->height;
}

static uint8_t *row_pixels(const MapCanvas *canvas, int y)
{
    return canvas->pixels + (size_t)y * canvas->stride;
}

const uint8_t *map_canvas_row(const MapCanvas *canvas, int y)
{
    return row_pixels(canvas, y);
}

/* ---- shapes ---- */

/* The part of a shape that is on the canvas: columns @left to @right - 1 of rows @top to @bottom - 1. */
typedef struct Area {
    int left, top, right, bottom;
} Area;

static Area clip(const MapCanvas *canvas, int x, int y, int width, int height)
{
    return (Area){
        .left = MAX(x, 0),
        .top = MAX(y, 0),
        .right = MIN(x + width, canvas->width),
        .bottom = MIN(y + height, canvas->height),
    };
}

#define SMALL 16 /* pixels of a row: a call of pixman_fill() costs as much as some of them */

void map_canvas_fill(MapCanvas *canvas, int x, int y, int width, int height, MapColour colour)
{
    Area area = clip(canvas, x, y, width, height);
    uint8_t number = colour_number(canvas, colour);

    if (area.left < area.right && area.right - area.left <= SMALL) {
        for (int row = area.top; row < area.bottom; row++) {
            uint8_t *pixels = row_pixels(canvas, row);

            for (int i = area.left; i < area.right; i++) {
                pixels[i] = number;
            }
        }
    } else if (area.left < area.right && area.top < area.bottom) {
        pixman_fill((uint32_t *)(void *)canvas->pixels, (int)(canvas->stride / sizeof(uint32_t)), 8, area.left,
                    area.top, area.right - area.left, area.bottom - area.top, number);
    }
}

void map_canvas_stripes(MapCanvas *canvas, int x, int y, int width, int height, MapColour colour)
{
    Area area = clip(canvas, x, y, width, height);
    uint8_t number = colour_number(canvas, colour);

    for (int row = area.top; row < area.bottom; row++) {
        uint8_t *pixels = row_pixels(canvas, row);

        for (int i = area.left; i < area.right; i++) {
            if ((i + row) % STRIPES < STRIPES / 2 - 1) {
                pixels[i] = number;
            }
        }
    }
}

void map_canvas_frame(MapCanvas *canvas, int x, int y, int width, int height, int thickness, MapColour colour)
{
    map_canvas_fill(canvas, x, y, width, thickness, colour);
    map_canvas_fill(canvas, x, y + height - thickness, width, thickness, colour);
    map_canvas_fill(canvas, x, y, thickness, height, colour);
    map_canvas_fill(canvas, x + width - thickness, y, thickness, height, colour);
}

/* ---- text ---- */

/* A place for one letter in full colours, with what covers it. */
typedef struct Letter {
    uint32_t pixels[MAP_GLYPH_HEIGHT][MAP_GLYPH_STRIDE];
    uint8_t coverage[MAP_GLYPH_HEIGHT][MAP_GLYPH_STRIDE];
    pixman_image_t *image;
    pixman_image_t *mask;
    pixman_image_t *ink;
} Letter;

static bool letter_init(Letter *letter, MapColour colour)
{
    pixman_color_t opaque = {.red = (uint16_t)((colour >> 16 & 0xff) * 0x101),
                             .green = (uint16_t)((colour >> 8 & 0xff) * 0x101),
                             .blue = (uint16_t)((colour & 0xff) * 0x101),
                             .alpha = 0xffff};

    letter->image = pixman_image_create_bits(PIXMAN_x8r8g8b8, MAP_GLYPH_STRIDE, MAP_GLYPH_HEIGHT, letter->pixels[0],
                                             sizeof(letter->pixels[0]));
    letter->mask = pixman_image_create_bits(PIXMAN_a8, MAP_GLYPH_STRIDE, MAP_GLYPH_HEIGHT,
                                            (uint32_t *)(void *)letter->coverage, sizeof(letter->coverage[0]));
    letter->ink = pixman_image_create_solid_fill(&opaque);
    return letter->image && letter->mask && letter->ink;
}

static void letter_clear(Letter *letter)
{
    pixman_image_t *images[] = {letter->image, letter->mask, letter->ink};

    for (size_t i = 0; i < G_N_ELEMENTS(images); i++) {
        if (images[i]) {
            pixman_image_unref(images[i]);
        }
    }
}

/* Takes what is on the canvas at @x and @y, lets the letter cover it, and puts it back. */
static void draw_letter(MapCanvas *canvas, Letter *letter, int x, int y)
{
    Area area = clip(canvas, x, y, MAP_GLYPH_STRIDE, MAP_GLYPH_HEIGHT);

    for (int row = area.top; row < area.bottom; row++) {
        for (int i = area.left; i < area.right; i++) {
            letter->pixels[row - y][i - x] = canvas->colours.colours[row_pixels(canvas, row)[i]];
        }
    }
    pixman_image_composite32(PIXMAN_OP_OVER, letter->ink, letter->mask, letter->image, 0, 0, 0, 0, 0, 0,
                             MAP_GLYPH_STRIDE, MAP_GLYPH_HEIGHT);
    for (int row = area.top; row < area.bottom; row++) {
        for (int i = area.left; i < area.right; i++) {
            if (letter->coverage[row - y][i - x]) {
                row_pixels(canvas, row)[i] = colour_number(canvas, letter->pixels[row - y][i - x] & 0xffffff);
            }
        }
    }
}

void map_canvas_text(MapCanvas *canvas, int x, int y, const char *text, MapColour colour)
{
    Letter letter = {0};

    if (letter_init(&letter, colour)) {
        for (; *text; text++) {
            int width = map_font_glyph(*text, letter.coverage);

            draw_letter(canvas, &letter, x, y);
            x += width;
        }
    }
    letter_clear(&letter);
}
