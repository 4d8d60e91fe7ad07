/*
 * A small font, for the legend of a picture.
 *
 * It has the characters of the legend; any other is a box. Letters differ in width.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_MAP_FONT_H
#define UI_MAP_FONT_H

#include <stdint.h>

#define MAP_LETTER_HEIGHT 14 /* pixels, of a capital letter */
#define MAP_GLYPH_HEIGHT  18 /* pixels, with descenders */
#define MAP_GLYPH_STRIDE  12 /* bytes of a row, a multiple of 4 */

/* Sets how much of each pixel @c covers, 0 to 255. Returns the distance to the next character in pixels. */
int map_font_glyph(char c, uint8_t coverage[MAP_GLYPH_HEIGHT][MAP_GLYPH_STRIDE]);

/* Returns the width of @text in pixels. */
int map_font_width(const char *text);

#endif
