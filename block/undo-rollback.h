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

#include "block/source.h"

/* Opens the undo file at @path, to be closed with block_source_close(). NULL and @errp set when that fails. */
BlockSource *undo_rollback_open(const char *path, GError **errp);

/*
 * Makes @image, opened for writing, what it was before the repair that wrote the undo file @file, called @name in
 * messages. Tells @say, which may be NULL, what will be done before it does it. False and @errp set when anything is
 * wrong.
 */
bool undo_rollback_from(BlockSource *file, const char *name, BlockSource *image, FILE *say, GError **errp);

#endif
