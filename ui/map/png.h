/*
 * A canvas as a PNG file, by libpng.
 *
 * It has a palette of at most 256 colours; without one it would be three times as large and as slow.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_MAP_PNG_H
#define UI_MAP_PNG_H

#include <stdbool.h>
#include <stdio.h>

#include "ui/map/canvas.h"

/*
 * Writes the upper @height rows of @canvas to @out, whose error flag the caller checks. Returns false and sets @errp if
 * there is no memory, or if the canvas has more colours.
 */
bool map_png_write(const MapCanvas *canvas, int height, FILE *out, GError **errp);

#endif
