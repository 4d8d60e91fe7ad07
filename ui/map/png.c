/*
 * A canvas as a PNG file: see ui/map/png.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/map/png.h"

#include <png.h>
#include <setjmp.h>
#include <zlib.h>

static void write_bytes(png_structp png, png_bytep bytes, size_t size)
{
    fwrite(bytes, 1, size, png_get_io_ptr(png));
}

static void flush_bytes(png_structp png)
{
}

static void set_palette(png_structp png, png_infop info, const MapColours *from)
{
    png_color colours[MAP_COLOURS_MOST];

    for (unsigned i = 0; i < from->n; i++) {
        colours[i] = (png_color){.red = (png_byte)(from->colours[i] >> 16),
                                 .green = (png_byte)(from->colours[i] >> 8),
                                 .blue = (png_byte)from->colours[i]};
    }
    png_set_PLTE(png, info, colours, (int)from->n);
}

/* libpng returns from an error by longjmp(), so nothing that it could leave behind lives here. */
static bool write_picture(png_structp png, png_infop info, const MapCanvas *canvas, int height, FILE *out)
{
    if (setjmp(png_jmpbuf(png))) {
        return false;
    }
    png_set_write_fn(png, out, write_bytes, flush_bytes);
    png_set_IHDR(png, info, (png_uint_32)map_canvas_width(canvas), (png_uint_32)height, 8, PNG_COLOR_TYPE_PALETTE,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    set_palette(png, info, map_canvas_colours(canvas));
    png_set_check_for_invalid_index(png, 0); /* each is one that the palette has */
    /* a picture is made of rows of pixels that are alike: looking for more than that makes it little smaller, and takes
     * several times as long */
    png_set_compression_strategy(png, Z_RLE);
    png_write_info(png, info);
    for (int y = 0; y < height; y++) {
        png_write_row(png, map_canvas_row(canvas, y));
    }
    png_write_end(png, NULL);
    return true;
}

bool map_png_write(const MapCanvas *canvas, int height, FILE *out, GError **errp)
{
    bool fits = !map_canvas_colours(canvas)->too_many;
    png_structp png = fits ? png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL) : NULL;
    png_infop info = png ? png_create_info_struct(png) : NULL;
    bool written = info && write_picture(png, info, canvas, height, out);

    png_destroy_write_struct(&png, &info);
    if (!written) {
        g_set_error_literal(errp, G_FILE_ERROR, G_FILE_ERROR_NOMEM, "Could not make the picture: no memory");
    }
    return written;
}
