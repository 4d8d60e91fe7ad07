/*
 * Rolling a repair back with its undo file.
 *
 * First everything is verified: the undo file is complete; the image is the one of the undo file; and each range has
 * the bytes from before the repair or those of the repair, or, after an interruption, a mix of both by sectors.
 * Otherwise nothing is written. So an image that was used since the repair is refused if a repaired range, or its
 * length, has changed; changes elsewhere are not detected.
 *
 * Then the old bytes are put back, in reverse order, with a flush at each flush of the repair, and the length last.
 * After an interruption, do the rollback again.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_UNDO_ROLLBACK_H
#define BLOCK_UNDO_ROLLBACK_H

#include <stdbool.h>
#include <stdio.h>

#include "block/undo/reader.h"

/* A verified rollback. The sources belong to the caller. */
typedef struct UndoRollback {
    BlockSource *file;
    BlockSource *image;
    UndoContents contents;
    GArray *differences; /* UndoDifference (undo/verify.h), in the order of the file */
    uint64_t bytes;      /* their sum */
} UndoRollback;

/* Opens the undo file at @path, to be closed with block_source_close(). NULL and @errp set when that fails. */
BlockSource *undo_rollback_open(const char *path, GError **errp);

/*
 * Verifies that @image can be restored from the undo file @file, and fills @rollback; @name is for messages. Writes
 * nothing. False and @errp set if it cannot. Clear @rollback in any case.
 */
bool undo_rollback_verify(UndoRollback *rollback, BlockSource *file, const char *name, BlockSource *image,
                          GError **errp);

/* Prints to @say what will be done, or with @dry_run, what would be done. */
void undo_rollback_announce(const UndoRollback *rollback, bool dry_run, FILE *say);

/* Applies it; the image must be open for writing. After a failure half-way, verify and apply it again. */
bool undo_rollback_apply(const UndoRollback *rollback, GError **errp);

void undo_rollback_clear(UndoRollback *rollback);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(UndoRollback, undo_rollback_clear)

/* Verifies, announces and applies. @say may be NULL. */
bool undo_rollback_from(BlockSource *file, const char *name, BlockSource *image, FILE *say, GError **errp);

#endif
