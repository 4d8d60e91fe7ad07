/*
 * Repairing a qcow2 image: what becomes of the plan.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/repair.h"

#include <errno.h>
#include <string.h>

#include "block/io/edited.h"
#include "block/qcow2/inspect/result.h"
#include "block/qcow2/repair/drop.h"
#include "block/qcow2/repair/plan.h"
#include "block/qcow2/repair/write.h"
#include "util/number.h"

/* ---- the result ---- */

static int64_t saturating_sub(uint64_t before, uint64_t after)
{
    return before > after ? before - after : 0;
}

/* Checks what is in @source now. */
static bool check_again(BlockSource *source, RepairPlan *p, const Qcow2CheckOptions *options, Qcow2RepairResult *result,
                        GError **errp)
{
    const Qcow2Report before = p->found->check.report;
    g_autoptr(Qcow2Image) image = NULL;
    g_autoptr(Qcow2FindingRecords) findings = NULL;
    ImageCheck *check;

    if (!qcow2_check_take_findings(&p->found->check, &findings, errp)) {
        return false;
    }
    repair_plan_forget_stages(p); /* not both at once */
    image = qcow2_open(source, NULL, errp);
    if (!image || !qcow2_check(image, options, &result->check, errp)) {
        return false;
    }
    check = result->check.check;
    if (findings && check->has_findings) {
        qcow2_findings_add_fixed(&check->findings, findings);
    }
    check->corruptions_fixed = saturating_sub(before.corruptions, check->corruptions);
    check->leaks_fixed = saturating_sub(before.leaks, check->leaks);
    return true;
}

/*
 * Nothing was written, or nothing but flags in the header. Where nothing is wrong, what was found in planning is the
 * result, unless more is asked for. Else, and for what a dry run says of the image as it is, there is a check of its
 * own, whose messages have been printed already: in planning a fault that goes away with another is not counted, as
 * with the stock tool, and leaks that are kept count as references.
 */
static bool finish_unchanged(Qcow2Image *image, RepairPlan *p, Qcow2RepairResult *result, GError **errp)
{
    Stage *found = p->found;
    Qcow2CheckOptions options = *found->in.options->check;
    int failure = found->check.report.failure;
    uint64_t check_errors = found->check.report.check_errors;
    bool wrong = found->check.report.corruptions || found->check.report.leaks || check_errors || failure;

    if (!wrong && !found->in.options->dry_run && !options.findings && !options.roles && !options.layout &&
        !options.space) {
        return qcow2_check_make_result(&found->check, found->unreadable, &result->check, errp);
    }
    repair_plan_forget_stages(p);
    options.messages = NULL;
    if (!qcow2_check(image, &options, &result->check, errp)) {
        return false;
    }
    result->check.failure = failure ? failure : result->check.failure;
    result->check.check->check_errors = MAX((uint64_t)result->check.check->check_errors, check_errors);
    return true;
}

/* There was no room, which is @why, and nothing was changed: what is found in a check goes with that. */
static bool finish_undone(Qcow2Image *image, const Qcow2RepairOptions *options, Qcow2RepairResult *result, GError *why,
                          GError **errp)
{
    Qcow2CheckOptions check = *options->check;

    check.messages = NULL; /* planning has printed them */
    if (why->code == ENOMEM || !qcow2_check(image, &check, &result->check, NULL)) {
        g_propagate_error(errp, why);
        return false;
    }
    result->check.not_repaired = why;
    return true;
}

/* ---- doing it ---- */

static bool apply(Qcow2Image *image, RepairPlan *p, const Qcow2RepairOptions *options, Qcow2RepairResult *result,
                  GError **errp)
{
    BlockSource *source = image->source;
    bool changes = p->n_changes;
    GError *no_room = NULL;

    if (!edits_n(p->edits)) {
        return finish_unchanged(image, p, result, errp);
    }
    if (options->undo && !edits_save(p->edits, source, options->undo, errp)) {
        return false;
    }
    if (!edits_fill_free_space(p->edits, source, &no_room)) {
        return finish_undone(image, options, result, no_room, errp);
    }
    if (!edits_apply(p->edits, source, errp)) {
        return false;
    }
    if (!changes) {
        image->header.incompatible_features = load_be64(edits_at(p->edits, 0)->bytes);
        return finish_unchanged(image, p, result, errp);
    }
    if (p->frees_space) {
        repair_plan_give_back_space(p, source);
    }
    return check_again(source, p, options->check, result, errp);
}

/* Checks the image as the edits would leave it. */
static bool check_outcome(const Qcow2Image *image, const RepairPlan *p, ImageCheck **outcome, GError **errp)
{
    const Qcow2CheckOptions *options = p->found->in.options->check;
    Qcow2CheckOptions outcome_options = {.findings = options->findings,
                                         .judgement = options->judgement,
                                         .lost_data = options->lost_data,
                                         .backing_checked = true,
                                         .max_messages = 1,
                                         .workers = options->workers};
    BlockSource *view = block_source_new_edited(image->source, p->edits);
    Qcow2Image *edited = qcow2_open(view, NULL, errp);
    Qcow2CheckResult result = {0};
    bool ok = edited && qcow2_check(edited, &outcome_options, &result, errp);

    *outcome = g_steal_pointer(&result.check);
    qcow2_check_result_clear(&result);
    g_clear_pointer(&edited, qcow2_close);
    block_source_close(view);
    return ok;
}

/* What would be written goes with the verdict on what is there. */
static bool list_edits(Qcow2Image *image, RepairPlan *p, Qcow2RepairResult *result, GError **errp)
{
    ImageCheckEditList edits = {0};
    ImageCheck *outcome = NULL;
    bool wanted = p->found->in.options->check->outcome;

    if (!repair_list(p->edits, p, image->source, &edits, errp) ||
        (wanted && !check_outcome(image, p, &outcome, errp)) || !finish_unchanged(image, p, result, errp)) {
        qapi_clear_ImageCheckEditList(&edits);
        g_clear_pointer(&outcome, qapi_free_ImageCheck);
        return false;
    }
    result->check.outcome = outcome;
    result->check.check->has_edits = true;
    result->check.check->edits = edits;
    return true;
}

bool qcow2_repair(Qcow2Image *image, const Qcow2RepairOptions *options, Qcow2RepairResult *result, GError **errp)
{
    GError *no_room = NULL;
    g_autoptr(RepairPlan) plan = repair_plan_new(image, options, &no_room);

    *result = (Qcow2RepairResult){0};
    if (!plan) {
        return finish_undone(image, options, result, no_room, errp);
    }
    result->leaks_kept = plan->leaks_kept;
    return options->dry_run ? list_edits(image, plan, result, errp) : apply(image, plan, options, result, errp);
}

/* ---- the header alone ---- */

bool qcow2_drop_from_header(BlockSource *source, const Qcow2RepairOptions *options, Qcow2RepairResult *result,
                            GError **errp)
{
    g_autoptr(Edits) edits = drop_from_header(source, options->request, errp);
    g_autoptr(BlockSource) view = edits && options->dry_run ? block_source_new_edited(source, edits) : NULL;
    g_autoptr(Qcow2Image) image = NULL;

    *result = (Qcow2RepairResult){0};
    if (!edits || (options->undo && !edits_save(edits, source, options->undo, errp)) ||
        (!options->dry_run && !edits_apply(edits, source, errp))) {
        return false;
    }
    image = qcow2_open(view ? view : source, NULL, errp);
    if (!image || !qcow2_check(image, options->check, &result->check, errp)) {
        return false;
    }
    result->check.check->has_edits = options->dry_run;
    return !view || repair_list(edits, NULL, source, &result->check.check->edits, errp);
}

void qcow2_repair_result_clear(Qcow2RepairResult *result)
{
    qcow2_check_result_clear(&result->check);
}
