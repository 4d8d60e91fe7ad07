/*
 * Repairs after one another, planned before the first is made: where structures lie on one another, or a fault that
 * hides others goes away, what is wrong afterwards is not what was wrong before.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2-repair.h"

#include <stdlib.h>

#include "block/overlay.h"

#define MAX_ROUNDS    8            /* images broken at random take up to four */
#define MAX_IN_MEMORY (64u << 20)  /* bytes that are written in a round */
#define MAX_MESSAGES  (256u << 10) /* bytes of messages of a round that are printed */

/* Faults of single counts and flags. When no structures overlap, a plan knows what becomes of these. */
#define FORESEEN                                                                                                       \
    (QCOW2_FINDING_BIT(QCOW2_FINDING_REFCOUNT_TOO_LOW) | QCOW2_FINDING_BIT(QCOW2_FINDING_LEAK) |                       \
     QCOW2_FINDING_BIT(QCOW2_FINDING_L1_COPIED_WRONG) | QCOW2_FINDING_BIT(QCOW2_FINDING_L2_COPIED_WRONG) |             \
     QCOW2_FINDING_BIT(QCOW2_FINDING_DIRTY) | QCOW2_FINDING_BIT(QCOW2_FINDING_CORRUPT_BIT))

/* True where it is known without looking that nothing is to be repaired after @r. */
static bool is_last(const Qcow2Repair *r)
{
    if (!edits_any(r->edits, 0, EDIT_PHASE_PUNCH)) {
        return true;
    }
    for (ImageCheckFindingKind kind = 0; kind < QCOW2_FINDING__MAX; kind++) {
        if (r->check.report.seen[kind] && !(FORESEEN & QCOW2_FINDING_BIT(kind))) {
            return false;
        }
    }
    return !(r->moved && r->moved->len) && !qcow2_repair_structures_overlap(r);
}

/* A repair of what @before makes of the image, nothing of it planned yet; NULL where that cannot be known. */
static Qcow2Repair *repair_after(const Qcow2Repair *before)
{
    g_autoptr(Qcow2Repair) r = NULL;
    g_autoptr(BlockSource) overlay = block_source_new_overlay(before->image->source, MAX_IN_MEMORY);
    Qcow2Image *image = NULL;

    if (edits_apply(before->edits, 0, EDIT_PHASE_PUNCH, overlay, NULL)) {
        image = qcow2_open(overlay, NULL, NULL);
    }
    if (!image) {
        return NULL;
    }
    r = qcow2_repair_new(image, before->options);
    r->overlay_image = image;
    r->overlay = g_steal_pointer(&overlay);
    /* nobody wants more of it than the edits */
    r->overlay_check = (Qcow2CheckOptions){.workers = before->options->check->workers,
                                           .max_messages = before->options->check->max_messages,
                                           .max_memory = before->options->check->max_memory};
    r->overlay_options = *before->options;
    r->overlay_options.check = &r->overlay_check;
    r->options = &r->overlay_options;
    return g_steal_pointer(&r);
}

/* Plans a later round; prints what it has to say where something is to be done. False where nothing is. */
static bool plan_later(Qcow2Repair *r, FILE *messages)
{
    char *text = NULL;
    size_t size;
    FILE *memory = messages ? open_memstream(&text, &size) : NULL;
    bool planned;

    r->messages = r->overlay_check.messages = memory;
    planned = qcow2_repair_plan(r, NULL) && edits_any(r->edits, 0, EDIT_PHASE_PUNCH);
    r->messages = r->overlay_check.messages = messages;
    if (memory) {
        fclose(memory);
    }
    if (planned && text) {
        fwrite(text, 1, MIN(size, MAX_MESSAGES), messages);
    }
    free(text);
    return planned;
}

/*
 * Where a fault remains behind which there may be something, that may be read from clusters that are free: their bytes
 * stay, so that the next repair finds the same.
 */
static void keep_bytes(const GPtrArray *rounds)
{
    for (guint i = 0; i < rounds->len; i++) {
        edits_drop(((Qcow2Repair *)g_ptr_array_index(rounds, i))->edits, EDIT_PHASE_PUNCH);
    }
}

static void say_kept(const Qcow2Repair *r)
{
    if (r->leaks_kept && r->messages && qcow2_repair_wants(r, QCOW2_FINDING_LEAK)) {
        fprintf(r->messages,
                "Leaked clusters are kept, as %s, and something may be in them. --free-lost frees them all the same.\n",
                r->lost ? r->lost : "one of the faults above may be what makes them look leaked");
    }
}

static void free_round(gpointer opaque)
{
    Qcow2Repair *r = opaque;
    Qcow2Image *image = r->overlay_image;
    BlockSource *overlay = r->overlay;

    qcow2_repair_free(r);
    if (image) {
        qcow2_close(image);
        block_source_close(overlay);
    }
}

/* Adds the round after the last one. False where nothing is to be done in it; *@settled if no fault remains then. */
static bool add_round(GPtrArray *rounds, bool *settled)
{
    Qcow2Repair *last = g_ptr_array_index(rounds, rounds->len - 1);
    Qcow2Repair *next = repair_after(last);
    bool more = next && plan_later(next, last->messages);

    *settled = next && !qcow2_repair_may_hide_clusters(next);
    if (more) {
        edits_drop(last->edits, EDIT_PHASE_MARKS); /* those are for the last one */
        g_ptr_array_add(rounds, next);
    } else if (next) {
        free_round(next);
    }
    return more;
}

GPtrArray *qcow2_repair_plan_rounds(Qcow2Image *image, const Qcow2RepairOptions *options, GError **errp)
{
    g_autoptr(GPtrArray) rounds = g_ptr_array_new_with_free_func(free_round);
    Qcow2Repair *r = qcow2_repair_new(image, options);
    bool settled = true;

    g_ptr_array_add(rounds, r);
    if (!qcow2_repair_plan(r, errp)) {
        say_kept(r);
        return NULL;
    }
    while (rounds->len < MAX_ROUNDS && !is_last(r) && add_round(rounds, &settled)) {
        r = g_ptr_array_index(rounds, rounds->len - 1);
    }
    if (!settled && !options->free_lost) {
        keep_bytes(rounds);
    }
    say_kept(r);
    return g_steal_pointer(&rounds);
}
