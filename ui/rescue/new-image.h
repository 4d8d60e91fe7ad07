/*
 * The image that a rescue makes: a copy of the source, which gets its name when it is complete.
 *
 * Functions return false or NULL and set @errp on failure. Not thread-safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_RESCUE_NEW_IMAGE_H
#define UI_RESCUE_NEW_IMAGE_H

#include "block/source.h"

typedef struct NewImage NewImage;

/*
 * Begins the file @path, which must not exist; or, with @overwrite, may be a regular file, but not that at
 * @source_path.
 * @source_path, which may be NULL, is shared with the new file if the file system allows that.
 */
NewImage *new_image_begin(const char *path, const char *source_path, bool overwrite, GError **errp);

/* Copies @source without its holes and zeros, unless it is shared already. */
bool new_image_copy(NewImage *image, BlockSource *source, GError **errp);

/* The image as a source that can be written, until the commit. */
BlockSource *new_image_source(NewImage *image);

/* Flushes the file, and gives it its name. */
bool new_image_commit(NewImage *image, GError **errp);

/* Frees @image, and removes the file unless it was committed. */
void new_image_free(NewImage *image);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(NewImage, new_image_free)

#endif
