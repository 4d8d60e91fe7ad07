/*
 * The picture of an image file, or of the guest's disk, as a PNG: the role of each cluster.
 *
 * Clusters lie along a curve, as squares of their role's colour, or as points that stand for many clusters each;
 * docs/interop/map.rst explains the picture. Its libraries are large, so this is a module (util/module.h). Time and
 * memory are those of a picture of at most some million points; time also grows with the number of runs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_MAP_DRAW_H
#define UI_MAP_DRAW_H

#include <glib.h>
#include <stdio.h>

#include "ui/map/cells.h"

/*
 * Draws @image and writes the PNG to @out, whose error flag the caller checks. Returns false and sets @errp if there is
 * no memory.
 */
typedef bool MapDraw(const MapImage *image, MapCurve curve, FILE *out, GError **errp);

#define MAP_MODULE   "qemu-img-map"
#define MAP_FUNCTION "map_draw"
MapDraw map_draw;

/* The first bytes of a picture. */
#define MAP_SIGNATURE "\x89PNG\r\n\x1a\n"

#endif
