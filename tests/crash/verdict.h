/*
 * What becomes of a test: what is wrong with an image then, why it failed, the images that others are to see, and what
 * is known to be well.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_CRASH_VERDICT_H
#define TESTS_CRASH_VERDICT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "block/source.h"
#include "qapi/qapi-types.h"

/* Checks what is on @disk. Returns NULL and sets @errp where that is no image that can be checked. */
ImageCheck *crash_check(BlockSource *disk, GError **errp);

/* Returns false, having stored what failed in *@why, which is the caller's, if nothing failed before. */
bool crash_failed(char **why, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* Writes @size bytes to FOLDER/IMAGE.WHAT, IMAGE being the last part of @image. Does nothing if @folder is NULL. */
void crash_keep(const char *folder, const char *image, const char *what, const uint8_t *bytes, uint64_t size);

/*
 * What was judged and is well, by digests (guest_digest()). Many crashes and failures leave the same bytes, and what is
 * done with the same bytes is the same.
 */
GHashTable *crash_known_new(void);
bool crash_known(GHashTable *known, uint64_t digest);
void crash_know(GHashTable *known, uint64_t digest);

#endif
