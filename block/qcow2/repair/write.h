/*
 * Making the edits of a repair, and saving before what they overwrite.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_REPAIR_WRITE_H
#define BLOCK_QCOW2_REPAIR_WRITE_H

#include "block/io/edits.h"
#include "block/undo/file.h"

/* Saves what all edits will overwrite, and what they write, in the order in which they will be made; seals @undo. */
bool edits_save(const Edits *edits, BlockSource *source, UndoFile *undo, GError **errp);

/*
 * Writes all that is new, where nothing lies. Where that is not possible, most likely as there is no room, nothing else
 * has changed, and the source is as long as before.
 */
bool edits_fill_free_space(const Edits *edits, BlockSource *source, GError **errp);

/* Makes all other edits. After an error the later ones have not been touched. */
bool edits_apply(const Edits *edits, BlockSource *source, GError **errp);

#endif
