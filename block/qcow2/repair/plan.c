/*
 * Planning a repair: a chain of passes, each of which looks at the image as those before leave it, and adds edits.
 *
 * The first pass that has something to do does it; then the image is counted again, with the edits laid over it, and
 * the passes begin anew. What an edit will have done is never predicted: it is looked at. When no pass has anything to
 * do, the repair is planned; so a second repair changes nothing. A pass that has nothing to do costs nothing.
 *
 * Why it is harmless when a repair is broken off. What is new is written first, where nothing lies. Then each pass,
 * given an image that reads the same guest data as the one before and is no worse, leaves one: it raises counts,
 * switches what refers to something over, and lowers counts, with a flush between. A count rises before a reference to
 * the cluster appears, and falls when the last is gone; a COPIED flag is set when the count is on disk. So it is after
 * any prefix of the chain, and after a part of a step.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/plan.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>

#include "block/qcow2/format/format.h"
#include "block/qcow2/repair/kept-leaks.h"
#include "block/qcow2/repair/passes.h"

#define MAX_STAGES 24 /* images broken at random take up to ten */

/* Snapshots come before what leaks by being made anew: a leak may be the trace of one that is lost. */
static RepairPass *const passes[] = {repair_entries,        repair_bitmaps,   repair_snapshots,
                                     repair_restore_blocks, repair_blocks,    repair_moves,
                                     repair_restore,        repair_refcounts, repair_flags};

/* Faults that are repaired without a word in a refcount block. */
#define NO_COUNTS                                                                                                      \
    (QCOW2_FINDING_BIT(QCOW2_FINDING_L1_COPIED_WRONG) | QCOW2_FINDING_BIT(QCOW2_FINDING_L2_COPIED_WRONG) |             \
     QCOW2_FINDING_BIT(QCOW2_FINDING_DIRTY) | QCOW2_FINDING_BIT(QCOW2_FINDING_CORRUPT_BIT))

void repair_plan_free(RepairPlan *p)
{
    edits_free(p->edits);
    g_ptr_array_unref(p->stages);
    g_hash_table_unref(p->said);
    g_clear_pointer(&p->reserved.clusters, refmap_free);
    g_free(p);
}

void repair_plan_forget_stages(RepairPlan *p)
{
    g_ptr_array_set_size(p->stages, 0);
    p->found = p->left = NULL;
}

/* ---- giving up ---- */

static void give_up(RepairPlan *p)
{
    edits_free(p->edits);
    p->edits = edits_new();
    p->n_changes = 0;
    p->given_up = true;
}

static void give_up_for_header(RepairPlan *p, const char *what)
{
    give_up(p);
    repair_say(&p->found->in,
               "Nothing is repaired, as %s said to be where the header is, and would be changed with it. 'qemu-img "
               "convert' can copy what can be read to a new image.\n",
               what);
}

/* Where something could not be read, nothing is known of what it refers to: no plan without it is safe. */
static void give_up_for_unread(RepairPlan *p)
{
    const RepairInput *found = &p->found->in;
    int error = -p->left->in.image->source->read_error;

    give_up(p);
    qcow2_report_failure(found->report, error);
    repair_say(found,
               "Nothing is repaired, as metadata could not be read (%s): a repair without it could destroy what it "
               "refers to. Try again, or copy the image to a sound disk first.\n",
               g_strerror(error));
}

static bool anything_wrong(const RepairInput *in)
{
    return in->report->corruptions || in->report->leaks || in->report->check_errors;
}

/* Returns true if something is wrong that this mode repairs. */
static bool anything_to_repair(const RepairInput *in)
{
    return in->options->all ? anything_wrong(in) : in->report->leaks > 0;
}

/* Returns true if a cluster in use has a count of 0. */
static bool any_zero(const Stage *s)
{
    CountRun run;

    for (uint64_t at = 0;
         repair_found(&s->in, QCOW2_FINDING_REFCOUNT_TOO_LOW) && target_counts_next_run(&s->targets, at, &run);
         at = run.first + run.n) {
        if (run.known && !run.stored) {
            return true;
        }
    }
    return false;
}

/* Returns true if nothing can be repaired without making refcount blocks anew, which is not wanted. */
static bool lacks_rebuild(const Stage *s)
{
    const RepairInput *in = &s->in;
    uint64_t outside = QCOW2_FINDING_BIT(QCOW2_FINDING_REFCOUNT_BLOCK_OUTSIDE);
    bool broken = in->options->all ? repair_found_any(in, BLOCKS_UNUSABLE)
                                   : repair_found_any(in, BLOCKS_UNUSABLE & ~outside) || any_zero(s);
    bool counts = !in->options->only || (in->options->only & ~NO_COUNTS);

    return counts && !rebuild_wanted(in) && (broken || (anything_to_repair(in) && blocks_any_shared(&s->targets)));
}

/* Returns true if there is no repair, which is said. */
static bool gives_up_at_once(RepairPlan *p, const Stage *s)
{
    if (lacks_rebuild(s)) {
        repair_say(&s->in, "ERROR need to rebuild refcount structures\n");
        s->in.report->check_errors++;
        qcow2_report_failure(s->in.report, EIO);
        give_up(p);
        return true;
    }
    if (layout_header_overlapped(&s->layout) && anything_to_repair(&s->in)) {
        give_up_for_header(p, "another structure is");
        return true;
    }
    return false;
}

/* ---- the chain ---- */

/* Features unknown here are switched off by the first pass that changes something. */
static void add_autoclear(RepairPlan *p, const Stage *s)
{
    uint64_t features = s->in.header->autoclear_features;
    Edit edit = {
        .offset = offsetof(Qcow2DiskHeader, autoclear_features),
        .structure = IMAGE_CHECK_STRUCTURE_HEADER,
        .why = repair_why(&s->in, p->edits, 0),
        .count = 1,
        .what = "switch off features that this program does not know",
    };

    /* guest data is first moved away from there */
    if ((features & ~QCOW2_AUTOCLEAR_KNOWN) && !layout_read_by_guest(&s->layout, 0)) {
        edits_add_word(p->edits, EDIT_PHASE_AUTOCLEAR, &edit, features & QCOW2_AUTOCLEAR_KNOWN);
    }
}

/* Adds @stage, which is NULL where memory is short. */
static bool add_stage(RepairPlan *p, Stage *stage)
{
    if (stage) {
        g_ptr_array_add(p->stages, stage);
        p->found = p->found ? p->found : stage;
        p->left = stage;
    }
    return stage;
}

/* Counts the image with the edits so far. */
static bool count_again(RepairPlan *p, GError **errp)
{
    return add_stage(p, stage_new_after(p->left, p->found->in.image->source, p->edits, errp)) &&
           (!p->first || stage_set_targets(p->left, &p->first->targets, &p->reserved, errp));
}

/* Runs @pass; *changed where it has added edits, which the image is then counted with. */
static bool run_pass(RepairPlan *p, RepairPass *pass, bool *changed, GError **errp)
{
    Stage *s = p->left;
    size_t n_before = edits_n(p->edits);

    if (!pass(&s->in, &s->layout, &s->alloc, p->edits, errp)) {
        return false;
    }
    *changed = edits_n(p->edits) > n_before;
    if (*changed) {
        add_autoclear(p, s);
        edits_end_pass(p->edits);
    }
    return !*changed || count_again(p, errp);
}

/* Runs the first @n passes, until they have nothing to do any more. */
static bool run_passes(RepairPlan *p, size_t n, GError **errp)
{
    assert(p->first || (n == 1 && passes[0] == repair_entries)); /* the others need to know the counts to be */
    for (size_t i = 0; i < n && p->stages->len < MAX_STAGES && !p->left->unread;) {
        bool changed;

        if (!run_pass(p, passes[i], &changed, errp)) {
            return false;
        }
        i = changed ? 0 : i + 1;
    }
    return true;
}

/* ---- what is done once, in the end ---- */

/* The first cluster at or behind @at for which two sets of counts differ, as far as their pieces there tell. */
static uint64_t next_difference(const Qcow2StoredCounts *a, const Qcow2StoredCounts *b, uint64_t at)
{
    uint64_t mask = (UINT64_C(1) << qcow2_stored_counts_piece_bits(a)) - 1;
    const Counters *of_a = qcow2_stored_counts_piece(a, at), *of_b = qcow2_stored_counts_piece(b, at);
    size_t first = (size_t)(at & mask), n = (size_t)(mask + 1) - first;

    assert(qcow2_stored_counts_piece_bits(a) == qcow2_stored_counts_piece_bits(b));
    return at + (of_a && of_b ? counters_mismatch(of_a, first, of_b, first, n) : 0);
}

bool repair_plan_next_freed(const RepairPlan *p, uint64_t at, Qcow2ClusterRange *freed)
{
    const Qcow2StoredCounts *before = p->found->check.stored, *after = p->left->check.stored;
    uint64_t end = p->found->layout.file_clusters, was, is, n_was, n_is, next;

    for (*freed = (Qcow2ClusterRange){0}; at < end; at = next) {
        bool knew = qcow2_stored_counts_stretch(before, at, &was, &n_was);
        bool know = qcow2_stored_counts_stretch(after, at, &is, &n_is);

        next = MIN(end, at + MIN(n_was, n_is));
        if (knew && was && know && !is) {
            freed->first = freed->n ? freed->first : at;
            freed->n += next - at;
        } else if (freed->n) {
            break;
        } else {
            next = MAX(was ? next : qcow2_stored_counts_next(before, at + n_was), next_difference(before, after, at));
        }
    }
    return freed->n != 0;
}

void repair_plan_give_back_space(const RepairPlan *p, BlockSource *source)
{
    unsigned bits = p->found->in.header->cluster_bits;
    uint64_t data = 0; /* where the next data is, seen from the last place that was asked about */
    Qcow2ClusterRange freed;

    for (uint64_t at = 0; repair_plan_next_freed(p, at, &freed); at = freed.first + freed.n) {
        uint64_t first = freed.first << bits, end = MIN((freed.first + freed.n) << bits, source->length);

        if (data < first) {
            data = block_source_next_data(source, first);
        }
        if (data < end) {
            /* the space is free in either case: that it cannot be given back is no failure */
            block_source_punch(source, data, end - data);
        }
    }
}

/*
 * Where a fault remains behind which there may be something, that may be read from clusters that are free: their bytes
 * stay, so that the next repair finds the same. What can be taken back must have its bytes, too.
 */
static bool frees_space(const RepairPlan *p)
{
    const RepairInput *left = &p->left->in;
    Qcow2ClusterRange freed;

    return p->n_changes && !left->options->undo && (left->options->free_lost || !repair_may_cause_false_leaks(left)) &&
           repair_plan_next_freed(p, 0, &freed);
}

/* Clears "dirty" and "corrupt" in the header, when all is right. */
static void add_header_flags(RepairPlan *p)
{
    const Stage *s = p->left;
    const Qcow2Report *left = &s->check.report;
    bool right = !left->corruptions && !left->check_errors && !left->failure && !flags_wrong(&s->check);
    uint64_t flags = (repair_wants(&s->in, QCOW2_FINDING_DIRTY) ? QCOW2_INCOMPAT_DIRTY : 0) |
                     (repair_wants(&s->in, QCOW2_FINDING_CORRUPT_BIT) ? QCOW2_INCOMPAT_CORRUPT : 0);
    uint64_t set = s->in.header->incompatible_features & flags;
    Edit edit = {
        .offset = offsetof(Qcow2DiskHeader, incompatible_features),
        .structure = IMAGE_CHECK_STRUCTURE_HEADER,
        .why = set & QCOW2_INCOMPAT_DIRTY ? QCOW2_FINDING_DIRTY : QCOW2_FINDING_CORRUPT_BIT,
        .count = 1,
        .what = "clear the marks",
    };

    if (right && set && !layout_read_by_guest(&s->layout, 0)) {
        edits_add_word(p->edits, EDIT_PHASE_LOWER, &edit, s->in.header->incompatible_features & ~set);
        edits_end_pass(p->edits);
    }
}

/* ---- all of it ---- */

/*
 * Reports the counts, when entries have been set right: what these refer to is leaked then. Decides what they become,
 * or gives up where not all was read: the counts are those that were found then.
 */
static bool begin_counts(RepairPlan *p, GError **errp)
{
    Stage *s = p->left;

    qcow2_check_report_counts(s->unread ? &p->found->check : &s->check, s->in.report);
    if (s->unread) {
        give_up_for_unread(p);
        return true;
    }
    if (!stage_set_targets(s, NULL, &p->reserved, errp)) {
        return false;
    }
    p->first = s;
    p->reserved.clusters = refmap_new(s->layout.file_clusters);
    return true;
}

/* Ends the planning: what is planned is made, or nothing is. */
static void settle(RepairPlan *p)
{
    const Stage *s = p->left;

    assert(p->first);
    p->n_changes = edits_n(p->edits);
    if (s->unread) {
        give_up_for_unread(p);
    } else if (p->n_changes && layout_header_overlapped(&p->first->layout)) {
        give_up_for_header(p, "another structure is");
    } else if (s->alloc.header_overlapped ||
               (p->n_changes && (s->in.header->autoclear_features & ~QCOW2_AUTOCLEAR_KNOWN))) {
        give_up_for_header(p, "guest data that finds no other place is");
    } else {
        p->leaks_kept = s->targets.leaks_kept;
        if (anything_wrong(&s->in)) {
            moves_report_unmoved(&s->in, &s->layout);
        }
        repair_report_kept(&s->in, &s->targets);
        p->frees_space = frees_space(p);
        add_header_flags(p);
    }
}

static bool make_plan(RepairPlan *p, GError **errp)
{
    const Stage *s;

    if (!run_passes(p, 1, errp) || !begin_counts(p, errp)) {
        return false;
    }
    s = p->left;
    if (p->given_up || gives_up_at_once(p, s)) {
        return true;
    }
    /* a clean image keeps every byte, whatever else could be said of it */
    if ((anything_wrong(&s->in) || flags_wrong(&s->check)) && !run_passes(p, G_N_ELEMENTS(passes), errp)) {
        repair_report_kept(&p->left->in, &p->left->targets);
        return false;
    }
    settle(p);
    return true;
}

/* One pass, once. */
static bool plan_request(RepairPlan *p, GError **errp)
{
    bool changed;

    if (!begin_counts(p, errp) || (!p->given_up && !run_pass(p, repair_request, &changed, errp))) {
        return false;
    }
    p->n_changes = edits_n(p->edits);
    return true;
}

static void free_stage(gpointer stage)
{
    stage_free(stage);
}

RepairPlan *repair_plan_new(Qcow2Image *image, const Qcow2RepairOptions *options, GError **errp)
{
    g_autoptr(RepairPlan) p = g_new0(RepairPlan, 1);

    p->edits = edits_new();
    p->stages = g_ptr_array_new_with_free_func(free_stage);
    p->said = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    return add_stage(p, stage_new_first(image, options, p->said, errp)) &&
                   (options->request ? plan_request(p, errp) : make_plan(p, errp))
               ? g_steal_pointer(&p)
               : NULL;
}
