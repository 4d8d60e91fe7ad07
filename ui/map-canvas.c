/*
 * A canvas: see ui/map-canvas.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/map-canvas.h"

#include <pixman.h>

#include "ui/map-font.h"

#define STRIPE_TILE 8 /* pixels */

struct MapCanvas {
    pixman_image_t *image;
    pixman_image_t *stripes; /* what stripes cover, repeated */
};

static pixman_image_t *stripes_new(void)
{
    pixman_image_t *tile = pixman_image_create_bits(PIXMAN_a8, STRIPE_TILE, STRIPE_TILE, NULL, 0);

    if (tile) {
        for (int y = 0; y < STRIPE_TILE; y++) {
            uint8_t *row = (uint8_t *)pixman_image_get_data(tile) + y * pixman_image_get_stride(tile);

            for (int x = 0; x < STRIPE_TILE; x++) {
                row[x] = (x + y) % STRIPE_TILE < STRIPE_TILE / 2 - 1 ? 0xff : 0;
            }
        }
        pixman_image_set_repeat(tile, PIXMAN_REPEAT_NORMAL);
    }
    return tile;
}

MapCanvas *map_canvas_new(int width, int height, MapColour colour)
{
    g_autoptr(MapCanvas) canvas = g_new0(MapCanvas, 1);

    canvas->image = pixman_image_create_bits(PIXMAN_x8r8g8b8, width, height, NULL, 0);
    canvas->stripes = stripes_new();
    if (!canvas->image || !canvas->stripes) {
        return NULL;
    }
    map_canvas_fill(canvas, 0, 0, width, height, colour);
    return g_steal_pointer(&canvas);
}

void map_canvas_free(MapCanvas *canvas)
{
    if (canvas->image) {
        pixman_image_unref(canvas->image);
    }
    if (canvas->stripes) {
        pixman_image_unref(canvas->stripes);
    }
    g_free(canvas);
}

int map_canvas_width(const MapCanvas *canvas)
{
    return pixman_image_get_width(canvas->image);
}

int map_canvas_height(const MapCanvas *canvas)
{
    return pixman_image_get_height(canvas->image);
}

static uint32_t *row_pixels(const MapCanvas *canvas, int y)
{
    return pixman_image_get_data(canvas->image) + (size_t)y * pixman_image_get_stride(canvas->image) / sizeof(uint32_t);
}

const uint32_t *map_canvas_row(const MapCanvas *canvas, int y)
{
    return row_pixels(canvas, y);
}

#define SMALL 16 /* pixels of a row: a call of pixman_fill() costs as much as some of them */

/* Without the look at formats and operators that composing has: there may be a million of them. */
void map_canvas_fill(MapCanvas *canvas, int x, int y, int width, int height, MapColour colour)
{
    int left = MAX(x, 0), top = MAX(y, 0);
    int right = MIN(x + width, map_canvas_width(canvas)), bottom = MIN(y + height, map_canvas_height(canvas));

    if (left < right && right - left <= SMALL) {
        for (int row = top; row < bottom; row++) {
            uint32_t *pixels = row_pixels(canvas, row);

            for (int i = left; i < right; i++) {
                pixels[i] = colour;
            }
        }
    } else if (left < right && top < bottom) {
        pixman_fill(pixman_image_get_data(canvas->image),
                    pixman_image_get_stride(canvas->image) / (int)sizeof(uint32_t), 32, left, top, right - left,
                    bottom - top, colour);
    }
}

static pixman_color_t opaque(MapColour colour)
{
    return (pixman_color_t){.red = (uint16_t)((colour >> 16 & 0xff) * 0x101),
                            .green = (uint16_t)((colour >> 8 & 0xff) * 0x101),
                            .blue = (uint16_t)((colour & 0xff) * 0x101),
                            .alpha = 0xffff};
}

/* Colours what @mask covers. */
static void compose(MapCanvas *canvas, pixman_image_t *mask, int mask_x, int mask_y, int x, int y, int width,
                    int height, MapColour colour)
{
    pixman_color_t solid = opaque(colour);
    pixman_image_t *source = pixman_image_create_solid_fill(&solid);

    if (source) {
        pixman_image_composite32(PIXMAN_OP_OVER, source, mask, canvas->image, 0, 0, mask_x, mask_y, x, y, width,
                                 height);
        pixman_image_unref(source);
    }
}

void map_canvas_stripes(MapCanvas *canvas, int x, int y, int width, int height, MapColour colour)
{
    compose(canvas, canvas->stripes, x % STRIPE_TILE, y % STRIPE_TILE, x, y, width, height, colour);
}

void map_canvas_frame(MapCanvas *canvas, int x, int y, int width, int height, int thickness, MapColour colour)
{
    map_canvas_fill(canvas, x, y, width, thickness, colour);
    map_canvas_fill(canvas, x, y + height - thickness, width, thickness, colour);
    map_canvas_fill(canvas, x, y, thickness, height, colour);
    map_canvas_fill(canvas, x + width - thickness, y, thickness, height, colour);
}

void map_canvas_text(MapCanvas *canvas, int x, int y, const char *text, MapColour colour)
{
    uint8_t coverage[MAP_GLYPH_HEIGHT][MAP_GLYPH_STRIDE];
    pixman_image_t *mask = pixman_image_create_bits(PIXMAN_a8, MAP_GLYPH_STRIDE, MAP_GLYPH_HEIGHT,
                                                    (uint32_t *)(void *)coverage, MAP_GLYPH_STRIDE);

    for (; mask && *text; text++) {
        int width = map_font_glyph(*text, coverage);

        compose(canvas, mask, 0, 0, x, y, MAP_GLYPH_STRIDE, MAP_GLYPH_HEIGHT, colour);
        x += width;
    }
    if (mask) {
        pixman_image_unref(mask);
    }
}
