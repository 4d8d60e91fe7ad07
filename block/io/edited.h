/*
 * The view of a source with edits: what it would be if they had been made. Nothing is stored twice: edits are laid over
 * what is read, when it is read.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_IO_EDITED_H
#define BLOCK_IO_EDITED_H

#include "block/io/edits.h"

/*
 * A source that reads as @base with the edits that @edits has now; later ones are not seen. Both are borrowed. The
 * source cannot be written.
 */
BlockSource *block_source_new_edited(BlockSource *base, const Edits *edits);

/* What the range of edit @i is before it is made, and after it; either buffer, of its size, may be NULL. Returns 0 or a
 * negative errno value. @view is such a source, and has seen the edit. */
int block_source_edited_bytes(BlockSource *view, size_t i, uint8_t *before, uint8_t *after);

#endif
