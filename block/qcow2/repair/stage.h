/*
 * The image as the edits so far leave it, counted: what a pass is given.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_REPAIR_STAGE_H
#define BLOCK_QCOW2_REPAIR_STAGE_H

#include "block/qcow2/inspect/unreadable.h"
#include "block/qcow2/repair/allocate.h"

typedef struct Stage {
    BlockSource *view; /* NULL: the image is that of the caller, and as it is */
    Qcow2Image *opened;
    Qcow2CheckOptions options;
    Qcow2UnreadableFinder *unreadable; /* NULL: nobody asks for a judgement */
    Qcow2Check check;
    MetadataLayout layout;
    TargetCounts targets;
    Allocator alloc;
    RepairInput in;
    bool unread; /* something besides refcount blocks could not be read: nothing is known of what it refers to */
} Stage;

/*
 * The image as it is. Its structures are counted and reported to the user, those that are repaired where they are found
 * as being repaired; its counts are neither reported nor are there targets yet. NULL and @errp set when memory is
 * short.
 */
Stage *stage_new_first(Qcow2Image *image, const Qcow2RepairOptions *options, GHashTable *said, GError **errp);

/* What @edits make of the image of @before, which is like the input of the new stage. Nothing is reported to the user.
 */
Stage *stage_new_after(const Stage *before, BlockSource *source, const Edits *edits, GError **errp);

/* Decides which counts the image is to have. When its counts are reported. */
bool stage_set_targets(Stage *stage, const TargetCounts *first, Reserved *reserved, GError **errp);

void stage_free(Stage *stage);

#endif
