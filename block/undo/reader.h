/*
 * Reading an undo file (block/undo/format.h): the whole file is verified before any of it is used.
 *
 * An undo file is hostile input. Its sizes are compared with its length first. Memory is allocated for records that
 * exist, not for claimed ones; payloads are read through a buffer.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_UNDO_READER_H
#define BLOCK_UNDO_READER_H

#include <stdbool.h>

#include "block/source.h"
#include "block/undo/format.h"

/* A range of the image that the repair overwrites. Offsets and sizes are bytes. */
typedef struct UndoRange {
    uint64_t offset;
    uint64_t size;
    uint64_t old_size; /* the part of it below the old end of the image, from its start */
    uint64_t position; /* of the old bytes in the undo file; the new ones follow */
    bool has_new;
    bool after_barrier; /* the repair flushed between the range before and this one */
} UndoRange;

typedef struct UndoContents {
    uint64_t old_length; /* of the image */
    uint64_t new_length;
    uint8_t identity[UNDO_DIGEST_SIZE]; /* of the first bytes of the image before the repair */
    GArray *ranges;                     /* UndoRange, in the order in which they were saved */
    char *name;                         /* of the image, escaped for messages; NULL: not recorded */
} UndoContents;

/* Fills @contents from @file. False and @errp set if it is incomplete or damaged. Clear @contents in any case. */
bool undo_contents_read(UndoContents *contents, BlockSource *file, GError **errp);
void undo_contents_clear(UndoContents *contents);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(UndoContents, undo_contents_clear)

#endif
