/*
 * Writing an undo file: all bytes that a repair is about to overwrite, for a rollback.
 *
 * The order: create, save every range that will be written (and the length, if it changes), seal. Only then may the
 * repair write. Saved bytes go to the file directly, except for a buffer. Freeing an undo file that is not sealed
 * removes it.
 *
 * The image must stay open as long as the undo file, and unchanged until that is sealed. Not thread safe. After an
 * error, free the undo file. Messages name it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_UNDO_FILE_H
#define BLOCK_UNDO_FILE_H

#include <stdbool.h>

#include "block/source.h"

typedef struct UndoFile UndoFile;

/* Creates the file at @path, which must not exist. */
UndoFile *undo_file_create(const char *path, BlockSource *image, GError **errp);

/* The same on a writable and empty source, which is borrowed. @name is for messages. */
UndoFile *undo_file_new(BlockSource *file, const char *name, BlockSource *image, GError **errp);

/* Records @name, by which users know the image; of a longer one the first UNDO_NAME_SIZE bytes. */
bool undo_file_name_image(UndoFile *undo, const char *name, GError **errp);

/*
 * Saves [@offset, @offset + @size) of the image; @size is not 0. @new_bytes are the bytes that the repair writes there,
 * by which a rollback verifies that the image was not used since; NULL if they are not known beforehand. A range may
 * lie behind the end of the image, with nothing to save. It may be saved several times, with different new bytes.
 */
bool undo_file_save(UndoFile *undo, uint64_t offset, const void *new_bytes, size_t size, GError **errp);

/* Records that the repair will change the length of the image, and saves the bytes that it will cut off. */
bool undo_file_length(UndoFile *undo, uint64_t new_length, GError **errp);

/*
 * Records that the repair flushes between the ranges saved before and after this call. A rollback flushes there too, so
 * that the image passes through the same states backwards.
 */
bool undo_file_barrier(UndoFile *undo, GError **errp);

/* Completes the file. After true, the file and its name are on disk. */
bool undo_file_seal(UndoFile *undo, GError **errp);

void undo_file_free(UndoFile *undo);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(UndoFile, undo_file_free)

#endif
