/*
 * `qemu-img check --map`: the picture of an image, made of the result of a check.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_MAP_FILE_H
#define UI_MAP_FILE_H

#include <glib.h>
#include <stdbool.h>

#include "block/qcow2.h"
#include "ui/options/options.h"

typedef struct CheckMap CheckMap;

/*
 * Prepares the picture that @options ask for, before the check: what it takes from outside is opened here, as nothing
 * can be opened later (util/sandbox.h). NULL and @errp set, with a message that says all, when it cannot be made.
 */
CheckMap *check_map_new(const CheckOptions *options, GError **errp);

/* The file in whose folder something will be renamed. */
const char *check_map_path(const CheckMap *map);

/* Draws an image of @length bytes, and puts the file at its place. @result has roles and findings. False and @errp set,
 * as above, and no file, when that fails. */
bool check_map_write(CheckMap *map, const Qcow2CheckResult *result, uint64_t length, GError **errp);

/* A picture that was not written is gone. */
void check_map_free(CheckMap *map);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CheckMap, check_map_free)

#endif
