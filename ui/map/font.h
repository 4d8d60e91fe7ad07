/*
 * A small font, for the legend of a picture.
 *
 * It has the characters that the legend is made of; any other is a box. Widths differ from letter to letter.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_MAP_FONT_H
#define UI_MAP_FONT_H

#include <stdint.h>

#define MAP_LETTER_HEIGHT 14 /* pixels, of a capital letter */
#define MAP_GLYPH_HEIGHT  18 /* with what goes below the line */
#define MAP_GLYPH_STRIDE  12 /* bytes from row to row, a multiple of 4 */

/* How much each pixel of @c is covered, from 0 to 255. Returns how far on the next character begins. */
int map_font_glyph(char c, uint8_t coverage[MAP_GLYPH_HEIGHT][MAP_GLYPH_STRIDE]);

/* Pixels that @text takes. */
int map_font_width(const char *text);

#endif
