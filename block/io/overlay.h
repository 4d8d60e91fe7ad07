/*
 * A source over another one, which stays as it is: what is written is kept in memory. So one can see what a plan makes
 * of an image before anything is done to it.
 *
 * The other source is borrowed, and must not change as long as there is an overlay. Punching does nothing, so that the
 * bytes are as before. Otherwise the rules of block/source.h hold.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_IO_OVERLAY_H
#define BLOCK_IO_OVERLAY_H

#include "block/source.h"

/*
 * An overlay that keeps up to @limit bytes, give or take 4 KiB a write; a write that needs more fails with -ENOMEM.
 * What is copied (block_source_copy()) as the source below has it is neither read nor kept, if copies come in the order
 * of the file: that is for large copies that are seldom looked at.
 */
BlockSource *block_source_new_overlay(BlockSource *base, uint64_t limit);

#endif
