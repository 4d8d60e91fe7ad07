/*
 * A source over another one, which stays as it is: what is written is kept in memory. So one can see what a plan makes
 * of an image before anything is done to it.
 *
 * The other source is borrowed, and must not change as long as there is an overlay. Punching does nothing, so that the
 * bytes are as before. Otherwise the rules of block/source.h hold.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_OVERLAY_H
#define BLOCK_OVERLAY_H

#include "block/source.h"

/* An overlay that keeps up to @limit bytes, give or take 4 KiB a write; a write that needs more fails with -ENOMEM. */
BlockSource *block_source_new_overlay(BlockSource *base, uint64_t limit);

/*
 * Writes the @size bytes at @from to @offset, too. Where they are as the source below has them, and copies come in the
 * order of the file, nothing is read or kept: that is for large copies that are seldom looked at.
 */
int block_source_overlay_copy(BlockSource *overlay, uint64_t offset, uint64_t size, uint64_t from);

#endif
