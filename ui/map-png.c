/*
 * A canvas as a PNG file: see ui/map-png.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/map-png.h"

#include <png.h>
#include <setjmp.h>
#include <zlib.h>

#define COLOURS_MOST PNG_MAX_PALETTE_LENGTH

/* The colours of a canvas, in the order in which they are met. */
typedef struct Palette {
    int n;
    MapColour colours[COLOURS_MOST];
} Palette;

static void write_bytes(png_structp png, png_bytep bytes, size_t size)
{
    fwrite(bytes, 1, size, png_get_io_ptr(png));
}

static void flush_bytes(png_structp png)
{
}

/* The index of @colour, which is added if it is new and there is room. Neighbours are mostly alike, so @last is tried
 * first. -1 when there is no room. */
static int palette_index(Palette *palette, MapColour colour, int last)
{
    if (last < palette->n && palette->colours[last] == colour) {
        return last;
    }
    for (int i = 0; i < palette->n; i++) {
        if (palette->colours[i] == colour) {
            return i;
        }
    }
    if (palette->n == COLOURS_MOST) {
        return -1;
    }
    palette->colours[palette->n] = colour;
    return palette->n++;
}

/* The upper @height rows of @canvas, a byte a pixel. NULL when there is no memory, or too many colours. */
static uint8_t *index_pixels(const MapCanvas *canvas, int height, Palette *palette)
{
    size_t width = (size_t)map_canvas_width(canvas);
    g_autofree uint8_t *pixels = g_try_malloc(width * (size_t)height);
    int last = 0;

    for (int y = 0; pixels && y < height; y++) {
        const uint32_t *row = map_canvas_row(canvas, y);

        for (size_t x = 0; x < width; x++) {
            last = palette_index(palette, row[x], last);
            if (last < 0) {
                return NULL;
            }
            pixels[(size_t)y * width + x] = (uint8_t)last;
        }
    }
    return g_steal_pointer(&pixels);
}

static void set_palette(png_structp png, png_infop info, const Palette *palette)
{
    png_color colours[COLOURS_MOST];

    for (int i = 0; i < palette->n; i++) {
        colours[i] = (png_color){.red = (png_byte)(palette->colours[i] >> 16),
                                 .green = (png_byte)(palette->colours[i] >> 8),
                                 .blue = (png_byte)palette->colours[i]};
    }
    png_set_PLTE(png, info, colours, palette->n);
}

/* libpng returns from an error by longjmp(), so nothing that it could leave behind lives here. */
static bool write_picture(png_structp png, png_infop info, const Palette *palette, const uint8_t *pixels, int width,
                          int height, FILE *out)
{
    if (setjmp(png_jmpbuf(png))) {
        return false;
    }
    png_set_write_fn(png, out, write_bytes, flush_bytes);
    png_set_IHDR(png, info, (png_uint_32)width, (png_uint_32)height, 8, PNG_COLOR_TYPE_PALETTE, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    set_palette(png, info, palette);
    /* a picture is made of rows of pixels that are alike: looking for more than that makes it little smaller, and takes
     * several times as long */
    png_set_compression_strategy(png, Z_RLE);
    png_write_info(png, info);
    for (int y = 0; y < height; y++) {
        png_write_row(png, pixels + (size_t)y * (size_t)width);
    }
    png_write_end(png, NULL);
    return true;
}

bool map_png_write(const MapCanvas *canvas, int height, FILE *out, GError **errp)
{
    Palette palette = {0};
    g_autofree uint8_t *pixels = index_pixels(canvas, height, &palette);
    png_structp png = pixels ? png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL) : NULL;
    png_infop info = png ? png_create_info_struct(png) : NULL;
    bool written = info && write_picture(png, info, &palette, pixels, map_canvas_width(canvas), height, out);

    png_destroy_write_struct(&png, &info);
    if (!written) {
        g_set_error_literal(errp, G_FILE_ERROR, G_FILE_ERROR_NOMEM, "Could not make the picture: no memory");
    }
    return written;
}
