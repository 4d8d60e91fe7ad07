/*
 * Writing an undo file: all bytes that a repair is about to overwrite, so that it can be taken back.
 *
 * Made in this order: create, save every range (and the length, if it changes) that will be written, seal. Only then
 * may the repair write. Saved bytes go straight to the file, a buffer apart. An undo file that is not sealed when it
 * is freed is of no use, and removed.
 *
 * The image must stay open as long as the undo file, and unchanged until that is sealed. Not thread safe. After an
 * error all that can be done is to free it. Messages name the undo file.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_UNDO_FILE_H
#define BLOCK_UNDO_FILE_H

#include <stdbool.h>

#include "block/source.h"

typedef struct UndoFile UndoFile;

/* Makes the file at @path, where there must be none. */
UndoFile *undo_file_create(const char *path, BlockSource *image, GError **errp);

/* The same on a source that can be written, which is empty, and is only borrowed. @name is for messages. */
UndoFile *undo_file_new(BlockSource *file, const char *name, BlockSource *image, GError **errp);

/*
 * Saves what is in [@offset, @offset + @size) of the image; @size is not 0. @new_bytes is what the repair writes there,
 * by which a rollback can tell that nobody has used the image since; NULL where that is not known beforehand. A range
 * may lie behind the end of the image, where there is nothing to save, and may be saved more than once, with different
 * new bytes.
 */
bool undo_file_save(UndoFile *undo, uint64_t offset, const void *new_bytes, size_t size, GError **errp);

/* The repair will change the length of the image; what is cut off is saved. */
bool undo_file_length(UndoFile *undo, uint64_t new_length, GError **errp);

/*
 * The repair flushes between the ranges that were saved before and those that will be: a rollback does too, so that
 * it passes through the same states as the repair, backwards.
 */
bool undo_file_barrier(UndoFile *undo, GError **errp);

/* Completes the file. When this returns true, it is on disk, its name too. */
bool undo_file_seal(UndoFile *undo, GError **errp);

void undo_file_free(UndoFile *undo);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(UndoFile, undo_file_free)

#endif
