/*
 * Verifying that an image is the result of a repair or of its rollback, complete or interrupted.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_UNDO_VERIFY_H
#define BLOCK_UNDO_VERIFY_H

#include "block/undo/reader.h"

/* Bytes of the image that differ from those before the repair. */
typedef struct UndoDifference {
    uint64_t offset;
    uint64_t size;
} UndoDifference;

/*
 * Compares @image with @contents of @file: its identity, its length, and each range. Appends the differences to the
 * image before the repair to @differences, an array of UndoDifference, in the order of the file and merged. False and
 * @errp set if it is another image, or was changed by another program.
 */
bool undo_verify(const UndoContents *contents, BlockSource *file, BlockSource *image, GArray *differences,
                 GError **errp);

#endif
