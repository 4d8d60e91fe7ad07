/*
 * Repairs after one another, planned before the first is made: where structures lie on one another, or a fault that
 * hides others goes away, what is wrong afterwards is not what was wrong before.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/repair.h"

#include <stdlib.h>
#include <string.h>

#include "block/io/overlay.h"

#define MAX_ROUNDS    8           /* images broken at random take up to four */
#define MAX_IN_MEMORY (64u << 20) /* bytes that are written in a round */
#define MAX_MESSAGES  4096u       /* of a later round; they are kept until it is known whether they are wanted */
#define SECTOR        512u        /* what a disk writes wholly or not at all, bytes */
#define MAX_TAILS     32u         /* clusters that may be left over at the end of a file */
#define TAIL_PIECE    4096u       /* bytes of the end of a file that are compared at once */

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
        if (r->check.report.count_by_kind[kind] && !(FORESEEN & QCOW2_FINDING_BIT(kind))) {
            return false;
        }
    }
    return !(r->contested && r->contested->len) && !qcow2_repair_structures_overlap(r);
}

/* A repair of what is in @overlay, nothing of it planned yet, like @before; NULL where it cannot be opened. */
static Qcow2Repair *repair_of(BlockSource *overlay, const Qcow2Repair *before)
{
    Qcow2Image *image = qcow2_open(overlay, NULL, NULL);
    Qcow2Repair *r;

    if (!image) {
        block_source_close(overlay);
        return NULL;
    }
    r = qcow2_repair_new(image, before->options);
    r->continues = qcow2_repair_waits(before);
    r->overlay_image = image;
    r->overlay = overlay;
    /* nobody wants more of it than the edits */
    r->overlay_check = (Qcow2CheckOptions){.workers = before->options->check->workers,
                                           .max_messages = MAX_MESSAGES};
    r->overlay_options = *before->options;
    r->overlay_options.check = &r->overlay_check;
    r->options = &r->overlay_options;
    r->messages = NULL;
    return r;
}

/* What the edits of @r are made to: it may be longer than what they were planned for. */
static BlockSource *edited_source(const Qcow2Repair *r)
{
    return r->whole ? r->whole : r->image->source;
}

/* A repair of what @before makes of the image; NULL where that cannot be known. */
static Qcow2Repair *repair_after(const Qcow2Repair *before)
{
    g_autoptr(BlockSource) overlay = block_source_new_overlay(edited_source(before), MAX_IN_MEMORY);

    return edits_apply(before->edits, 0, EDIT_PHASE_PUNCH, overlay, NULL) ? repair_of(g_steal_pointer(&overlay), before)
                                                                          : NULL;
}

bool qcow2_repair_leaves_right(const Qcow2Repair *last)
{
    Qcow2CheckOptions options = {.workers = last->options->check->workers, .max_messages = 1};
    BlockSource *overlay = block_source_new_overlay(edited_source(last), MAX_IN_MEMORY);
    Qcow2CheckResult result = {0};
    Qcow2Image *image = NULL;
    bool right = edits_apply(last->edits, 0, EDIT_PHASE_PUNCH, overlay, NULL) &&
                 (image = qcow2_open(overlay, NULL, NULL)) && qcow2_check(image, &options, &result, NULL) &&
                 !result.check->corruptions && !result.check->check_errors && !result.failure;

    qcow2_check_result_clear(&result);
    g_clear_pointer(&image, qcow2_close);
    block_source_close(overlay);
    return right;
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
        fwrite(text, 1, size, messages);
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
        qcow2_repair_say_stays(next, last->messages);
        free_round(next);
    }
    return more;
}

/* ---- what an interrupted repair left behind the end ---- */

/* True where @size bytes at @now are, sector by sector, zeros or what is at @then. */
static bool may_be_left_of(const uint8_t *now, const uint8_t *then, size_t size)
{
    static const uint8_t zeros[SECTOR];

    for (size_t at = 0; at < size; at += SECTOR) {
        size_t n = MIN(SECTOR, size - at);

        if (memcmp(now + at, zeros, n) != 0 && memcmp(now + at, then + at, n) != 0) {
            return false;
        }
    }
    return true;
}

/* True where a repair that writes what @planned has behind @end can have left what @source has there. */
static bool tail_is_left_over(BlockSource *source, BlockSource *planned, uint64_t end)
{
    uint8_t now[TAIL_PIECE], then[TAIL_PIECE];

    for (uint64_t at = end; at < source->length; at += TAIL_PIECE) {
        if (block_source_read(source, now, TAIL_PIECE, at) || block_source_read(planned, then, TAIL_PIECE, at) ||
            !may_be_left_of(now, then, TAIL_PIECE)) {
            return false;
        }
    }
    return true;
}

/* The plan of @failed without what is behind @end; NULL where that may be something else than was left over. */
static Qcow2Repair *plan_without_tail(const Qcow2Repair *failed, uint64_t end)
{
    BlockSource *source = failed->image->source;
    BlockSource *overlay = block_source_new_overlay(source, MAX_IN_MEMORY);
    Qcow2Repair *r;

    if (block_source_truncate(overlay, end)) {
        block_source_close(overlay);
        return NULL;
    }
    r = repair_of(overlay, failed);
    if (r) {
        r->whole = source;
    }
    if (r && qcow2_repair_plan(r, NULL) && !r->no_place &&
        edits_apply(r->edits, EDIT_PHASE_FREE_SPACE, EDIT_PHASE_FREE_SPACE, r->overlay, NULL) &&
        tail_is_left_over(source, r->overlay, end)) {
        return r;
    }
    g_clear_pointer(&r, free_round);
    return NULL;
}

/*
 * A repair that was interrupted before anything referred to what it had appended leaves that behind, with no count that
 * tells what it is. Where the next finds no place for the same, because what nobody knows must stay, it looks whether
 * the same would be written to the same place if the file ended earlier.
 */
static Qcow2Repair *plan_over_left_over(const Qcow2Repair *failed)
{
    unsigned bits = failed->header->cluster_bits;
    uint64_t tries = failed->no_place && !failed->image->source->fixed_length ? MAX_TAILS : 0;
    uint64_t least = MAX(failed->in_use_end, failed->file_clusters - MIN(failed->file_clusters, tries));
    Qcow2Repair *r = NULL;

    for (uint64_t end = failed->file_clusters; !r && end > least && failed->in_use_end;) {
        r = plan_without_tail(failed, --end << bits);
    }
    return r;
}

/* Plans the first round. */
static bool plan_first(GPtrArray *rounds, GError **errp)
{
    Qcow2Repair *first = g_ptr_array_index(rounds, 0);
    g_autoptr(GError) error = NULL;
    bool planned = qcow2_repair_plan(first, &error);
    Qcow2Repair *instead = first->no_place ? plan_over_left_over(first) : NULL;

    if (instead) {
        instead->messages = first->messages;
        g_ptr_array_set_size(rounds, 0);
        g_ptr_array_add(rounds, instead);
        return true;
    }
    if (!planned) {
        say_kept(first);
        g_propagate_error(errp, g_steal_pointer(&error));
    }
    return planned;
}

/* ---- all rounds ---- */

GPtrArray *qcow2_repair_plan_rounds(Qcow2Image *image, const Qcow2RepairOptions *options, GError **errp)
{
    g_autoptr(GPtrArray) rounds = g_ptr_array_new_with_free_func(free_round);
    bool settled = true;
    Qcow2Repair *r;

    g_ptr_array_add(rounds, qcow2_repair_new(image, options));
    if (!plan_first(rounds, errp)) {
        return NULL;
    }
    r = g_ptr_array_index(rounds, 0);
    while (rounds->len < MAX_ROUNDS && !is_last(r) && add_round(rounds, &settled)) {
        r = g_ptr_array_index(rounds, rounds->len - 1);
    }
    if (!settled && !options->free_lost) {
        keep_bytes(rounds);
    }
    say_kept(r);
    return g_steal_pointer(&rounds);
}
