/*
 * `qemu-img check --map`: from the result of a check to the picture.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_MAP_FILE_H
#define UI_MAP_FILE_H

#include <glib.h>
#include <stdbool.h>

#include "block/qcow2.h"
#include "ui/map/draw.h"

typedef struct MapFile MapFile;

/*
 * Creates the file @path, for a picture along @curve, of the guest's disk with @guest or else of the file, and loads
 * the module that draws it. Call it before the check: the sandbox (util/sandbox.h) opens nothing later. Returns NULL
 * and sets @errp, a complete message, on failure.
 */
MapFile *map_file_new(const char *path, MapCurve curve, bool guest, GError **errp);

/* Returns the path at which map_file_write() renames a file; it belongs to @map. */
const char *map_file_path(const MapFile *map);

/*
 * Draws an image whose file has @length bytes, and renames the picture to its path. @result has roles, findings and
 * judgement, and layout if seams are to be shown or it is the guest's disk. Returns false, sets @errp and leaves no
 * file on failure.
 */
bool map_file_write(MapFile *map, const Qcow2CheckResult *result, uint64_t length, GError **errp);

/* Frees @map, and removes a file that was not completed. */
void map_file_free(MapFile *map);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MapFile, map_file_free)

#endif
