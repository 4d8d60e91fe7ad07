/*
 * Taking a repair back with its undo file.
 *
 * First everything is verified, and nothing is written unless all is well: that the undo file is whole; that the image
 * is the one it was made for; and that each range is as it was before the repair or as the repair left it, or, where
 * one of them was interrupted, a mix of both by sectors. An image that was used since the repair is thus refused if
 * anything that was repaired, or its length, has changed; changes elsewhere are not seen.
 *
 * Then the old bytes are put back, in reverse order, with a flush where the repair had one, and the length last. A
 * rollback that was interrupted is simply done again.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_UNDO_ROLLBACK_H
#define BLOCK_UNDO_ROLLBACK_H

#include <stdbool.h>
#include <stdio.h>

#include "block/undo/reader.h"

/* One that is possible. The sources belong to the caller. */
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
 * Fills @rollback, to be cleared in any case, where @image can be made what it was before the repair that wrote the
 * undo file @file; @name is for messages. Writes nothing. False and @errp set when anything is wrong.
 */
bool undo_rollback_verify(UndoRollback *rollback, BlockSource *file, const char *name, BlockSource *image,
                          GError **errp);

/* Tells @say what will be done, or with @dry_run, what would be. */
void undo_rollback_announce(const UndoRollback *rollback, bool dry_run, FILE *say);

/* Does it, the image being open for writing. Where that fails half-way, it can be done again, from the beginning. */
bool undo_rollback_apply(const UndoRollback *rollback, GError **errp);

void undo_rollback_clear(UndoRollback *rollback);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(UndoRollback, undo_rollback_clear)

/* All of that. @say may be NULL. */
bool undo_rollback_from(BlockSource *file, const char *name, BlockSource *image, FILE *say, GError **errp);

#endif
