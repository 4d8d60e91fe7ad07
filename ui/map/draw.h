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

#include "block/cluster-roles.h"

/* How the clusters of the file lie in the picture. */
typedef enum MapCurve {
    MAP_CURVE_HILBERT, /* what is near in the file is near in the picture */
    MAP_CURVE_LINEAR,  /* row by row */
} MapCurve;

typedef struct MapImage {
    uint64_t cluster_size; /* bytes, at least 1 */
    uint64_t file_length;  /* bytes; what runs say beyond it is left out */

    /* The next run, in the order of the file; false when there are no more. What lies between runs is free. */
    bool (*next_run)(void *opaque, ClusterRun *run);
    void *opaque;
} MapImage;

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
