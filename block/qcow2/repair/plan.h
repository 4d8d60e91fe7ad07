/*
 * What a repair will do: made by plan.c, applied by apply.c, listed by list.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_REPAIR_PLAN_H
#define BLOCK_QCOW2_REPAIR_PLAN_H

#include "block/qcow2/repair/stage.h"

typedef struct RepairPlan {
    Edits *edits;
    size_t n_changes;    /* how many of them change more than flags in the header */
    bool frees_space;    /* what is free then is given back to the file system */
    GPtrArray *stages;   /* Stage: the image as it is, and as each pass that changes it leaves it */
    Stage *found;        /* the first of them */
    Stage *left;         /* and the last: as all edits but those of header flags leave the image */
    GHashTable *said;    /* messages */
    Reserved reserved;   /* places for what is new */
    Stage *first;        /* the stage whose counts were reported to the user, NULL = none yet; of @stages */
    uint64_t leaks_kept; /* clusters */
    bool given_up;       /* nothing is repaired: what was reported was what would be left by the repair */
} RepairPlan;

/* Plans the repair of @image: nothing is written. NULL and @errp set when memory is short, or there is no room. */
RepairPlan *repair_plan_new(Qcow2Image *image, const Qcow2RepairOptions *options, GError **errp);
void repair_plan_free(RepairPlan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RepairPlan, repair_plan_free)

/* Frees the stages, whose counts may be large, when no edit is to be made any more. */
void repair_plan_forget_stages(RepairPlan *plan);

/* Clusters in a row from @at on whose space is given back; false where there are none. */
bool repair_plan_next_freed(const RepairPlan *plan, uint64_t at, Qcow2ClusterRange *freed);

/* Gives back the space of clusters that are free now. */
void repair_plan_give_back_space(const RepairPlan *plan, BlockSource *source);

/*
 * Appends what @edits will write to @list, in the order of the steps, and what space is given back. They are those of
 * @plan, or there is none (NULL), and they change no counts.
 */
bool repair_list(const Edits *edits, const RepairPlan *plan, BlockSource *source, ImageCheckEditList *list,
                 GError **errp);

#endif
