/*
 * Whether an image is one that a repair, or its rollback, may have left, complete or not.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_UNDO_VERIFY_H
#define BLOCK_UNDO_VERIFY_H

#include "block/undo/reader.h"

/* Bytes of the image that are not what they were before the repair. */
typedef struct UndoDifference {
    uint64_t offset;
    uint64_t size;
} UndoDifference;

/*
 * Holds @image against @contents of @file: its identity, its length, and each range. Appends what differs from before
 * the repair to @differences, an array of UndoDifference, in the order of the file and merged. False and @errp set
 * where the image is not the one, or was changed by something else.
 */
bool undo_verify(const UndoContents *contents, BlockSource *file, BlockSource *image, GArray *differences,
                 GError **errp);

#endif
