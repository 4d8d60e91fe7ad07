/*
 * A canvas as a PNG file, by libpng.
 *
 * It has a palette, which makes it a third as large and as slow as one without: 256 colours, no more.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_MAP_PNG_H
#define UI_MAP_PNG_H

#include <stdbool.h>
#include <stdio.h>

#include "ui/map/canvas.h"

/*
 * Writes the upper @height rows of @canvas to @out, whose errors are its owner's business. False and @errp set when
 * there is no memory, or there are more colours.
 */
bool map_png_write(const MapCanvas *canvas, int height, FILE *out, GError **errp);

#endif
