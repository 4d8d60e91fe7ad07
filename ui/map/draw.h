/*
 * The picture of an image file: what each of its clusters is used for, as a PNG.
 *
 * The clusters lie along a curve, in squares of a colour for each role, or in points that stand for many clusters each.
 * docs/interop/map.rst tells how to read it. The libraries for it are large, so it is a module (util/module.h) with one
 * function. The cost is that of the picture, of at most some million points, and of the runs; memory that of the
 * picture.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_MAP_DRAW_H
#define UI_MAP_DRAW_H

#include <glib.h>
#include <stdio.h>

#include "ui/map/cells.h"

/*
 * Draws @image into @out. Errors of @out are its owner's business, and not told here. False and @errp set when there is
 * no memory.
 */
typedef bool MapDraw(const MapImage *image, MapCurve curve, FILE *out, GError **errp);

#define MAP_MODULE   "qemu-img-map"
#define MAP_FUNCTION "map_draw"
MapDraw map_draw;

/* With what a picture begins. */
#define MAP_SIGNATURE "\x89PNG\r\n\x1a\n"

#endif
