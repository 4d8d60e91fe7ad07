/*
 * Repairing a qcow2 image: what becomes of the plan.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/repair.h"

#include <errno.h>

#include "block/qcow2/format/format.h"
#include "block/qcow2/inspect/result.h"
#include "util/number.h"

/* ---- applying ---- */

/* Clears the marks in the header, if there are any and they are to be cleared. */
static bool clear_marks(Edits *edits, Qcow2Image *image, GError **errp)
{
    size_t n;
    const Edit *marks = edits_of(edits, EDIT_PHASE_MARKS, &n);

    if (!n) {
        return true;
    }
    if (!edits_apply(edits, EDIT_PHASE_MARKS, EDIT_PHASE_MARKS, image->source, errp)) {
        return false;
    }
    image->header.incompatible_features = load_be64(marks[0].bytes);
    return true;
}

static bool clear_marks_if_right(void *opaque, Qcow2Image *image, bool right, GError **errp)
{
    return !right || clear_marks(opaque, image, errp);
}

static int64_t saturating_sub(uint64_t before, uint64_t after)
{
    return before > after ? before - after : 0;
}

/* ---- what was fixed, among the findings ---- */

static guint hash_finding(gconstpointer key)
{
    const ImageCheckFinding *f = key;
    uint64_t location = f->entry_offset ^ (f->cluster ? f->cluster->offset << 1 : 0);

    return hash_u64(&location) ^ (guint)f->kind;
}

static gboolean same_finding(gconstpointer a, gconstpointer b)
{
    const ImageCheckFinding *x = a, *y = b;

    return x->kind == y->kind && x->entry_offset == y->entry_offset && !x->cluster == !y->cluster &&
           (!x->cluster || x->cluster->offset == y->cluster->offset) && g_strcmp0(x->snapshot, y->snapshot) == 0;
}

/* Adds those of @before to @after, as fixed, that are not among them. */
static bool add_fixed(ImageCheckFindingList *before, ImageCheckFindingList *after, GError **errp)
{
    g_autoptr(GHashTable) left = g_hash_table_new(hash_finding, same_finding);
    size_t n = after->len;
    g_autoptr(GArray) fixed = g_array_new(FALSE, FALSE, sizeof(size_t));

    for (size_t i = 0; i < n; i++) {
        g_hash_table_add(left, &after->items[i]);
    }
    for (size_t i = 0; i < before->len; i++) {
        if (before->items[i].severity != IMAGE_CHECK_SEVERITY_NOTE && !g_hash_table_contains(left, &before->items[i])) {
            g_array_append_val(fixed, i);
        }
    }
    g_hash_table_remove_all(left); /* the items may move now */
    for (guint k = 0; k < fixed->len; k++) {
        ImageCheckFinding *from = &before->items[g_array_index(fixed, size_t, k)];
        ImageCheckFinding *to = qapi_append_ImageCheckFinding(after);

        if (!to) {
            return qcow2_repair_no_memory(errp);
        }
        *to = *from;
        *from = (ImageCheckFinding){0}; /* what it had is the other's */
        to->fixed = true;
    }
    return true;
}

/* Checks what is in @source now, and clears @marks if that is right; @r was planned on what was there before. */
static bool check_again(BlockSource *source, Qcow2Repair *r, Edits *marks, Qcow2RepairResult *result, GError **errp)
{
    uint64_t corruptions = r->check.report.corruptions;
    uint64_t leaks = r->check.report.leaks;
    Qcow2CheckOptions options = *r->options->check;
    g_autoptr(Qcow2Image) image = NULL;
    ImageCheckFindingList before = {0};
    ImageCheck *check;
    bool ok;

    if (!qcow2_check_take_findings(&r->check, &before, errp)) {
        return false;
    }
    qcow2_check_clear(&r->check); /* not both at once */
    options.reported = clear_marks_if_right;
    options.opaque = marks;
    image = qcow2_open(source, NULL, errp);
    ok = image && qcow2_check(image, &options, &result->check, errp) &&
         add_fixed(&before, &result->check.check->findings, errp);
    qapi_clear_ImageCheckFindingList(&before);
    if (!ok) {
        return false;
    }
    check = result->check.check;
    check->corruptions_fixed = saturating_sub(corruptions, check->corruptions);
    check->leaks_fixed = saturating_sub(leaks, check->leaks);
    return true;
}

/* True where a snapshot table was read, to be repaired, that a check gives up at. */
static bool read_beyond_limits(const Qcow2Repair *r)
{
    const uint64_t *seen = r->check.report.count_by_kind;

    return r->options->all && (seen[QCOW2_FINDING_SNAPSHOTS_TOO_MANY] || seen[QCOW2_FINDING_SNAPSHOT_EXTRA_TOO_LARGE] ||
                               seen[QCOW2_FINDING_SNAPSHOT_TABLE_TOO_BIG]);
}

/*
 * Nothing was written, or nothing but marks: what was found in planning is the result. What a dry run says of the image
 * as it is, what stays where planning read on and a check gives up, and lists that take more than the counts, are made
 * by a check of their own, whose messages have been printed already: in planning a fault that goes away with another is
 * not counted, as with the stock tool.
 */
static bool finish_unchanged(Qcow2Image *image, Qcow2Repair *r, Qcow2RepairResult *result, GError **errp)
{
    Qcow2CheckOptions options = *r->options->check;
    int failure = r->check.report.failure;
    uint64_t check_errors = r->check.report.check_errors;
    bool other_verdict = r->options->dry_run || r->given_up || read_beyond_limits(r);

    if (!other_verdict && !options.findings && !options.roles && !options.layout && !options.space) {
        return qcow2_check_make_result(&r->check, &result->check, errp);
    }
    qcow2_check_clear(&r->check);
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

static bool is_right(const Qcow2Report *report)
{
    return !report->corruptions && !report->check_errors && !report->failure;
}

/* What @error kept from being done: it may be the disk that is broken, and not full. */
static const char *not_written_anew(const GError *error)
{
    bool no_room = g_error_matches(error, BLOCK_ERROR, ENOSPC) || g_error_matches(error, BLOCK_ERROR, EDQUOT) ||
                   g_error_matches(error, BLOCK_ERROR, EFBIG);

    return no_room ? "No room for what must be written anew" : "What must be written anew could not be written";
}

/* New structures, where nothing lies. */
static bool fill_free_space(BlockSource *source, const Qcow2Repair *r, GError **errp)
{
    uint64_t length = source->length;
    g_autoptr(GError) error = NULL;

    if (edits_apply(r->edits, EDIT_PHASE_FREE_SPACE, EDIT_PHASE_FREE_SPACE, source, &error)) {
        return true;
    }
    if (source->length > length) {
        block_source_truncate(source, length); /* if that fails, there are bytes that nobody looks at */
    }
    g_propagate_prefixed_error(errp, g_error_copy(error), "%s, and nothing was changed: ", not_written_anew(error));
    return false;
}

/* Saves what all of @rounds will overwrite. */
static bool save(const GPtrArray *rounds, UndoFile *undo, GError **errp)
{
    for (guint i = 0; i < rounds->len; i++) {
        const Qcow2Repair *r = g_ptr_array_index(rounds, i);

        if (!edits_save(r->edits, r->image->source, undo, errp)) {
            return false;
        }
    }
    return undo_file_seal(undo, errp);
}

static bool apply(Qcow2Image *image, const GPtrArray *rounds, Qcow2RepairResult *result, GError **errp)
{
    Qcow2Repair *first = g_ptr_array_index(rounds, 0), *last = g_ptr_array_index(rounds, rounds->len - 1);
    BlockSource *source = image->source;
    GError *no_room = NULL;
    bool changes = edits_any(first->edits, 0, EDIT_PHASE_PUNCH);

    if ((changes || edits_any(first->edits, EDIT_PHASE_MARKS, EDIT_PHASE_MARKS)) && first->options->undo &&
        !save(rounds, first->options->undo, errp)) {
        return false;
    }
    if (!changes) {
        return (!is_right(&first->check.report) || clear_marks(first->edits, image, errp)) &&
               finish_unchanged(image, first, result, errp);
    }
    if (!fill_free_space(source, first, &no_room)) {
        return finish_undone(image, first->options, result, no_room, errp);
    }
    if (!edits_apply(first->edits, EDIT_PHASE_FREE_SPACE + 1, EDIT_PHASE_PUNCH, source, errp)) {
        return false;
    }
    for (guint i = 1; i < rounds->len; i++) {
        const Qcow2Repair *r = g_ptr_array_index(rounds, i);

        if (!edits_apply(r->edits, 0, EDIT_PHASE_PUNCH, source, errp)) {
            return false;
        }
    }
    return check_again(source, first, last->edits, result, errp);
}

/* What would be written goes with the verdict on what is there. */
static bool list_edits(Qcow2Image *image, const GPtrArray *rounds, Qcow2RepairResult *result, GError **errp)
{
    Qcow2Repair *last = g_ptr_array_index(rounds, rounds->len - 1);
    ImageCheckEditList edits = {0};
    bool ok = true;

    if (edits_any(last->edits, EDIT_PHASE_MARKS, EDIT_PHASE_MARKS) && !qcow2_repair_leaves_right(last)) {
        edits_drop(last->edits, EDIT_PHASE_MARKS);
    }
    for (guint i = 0; ok && i < rounds->len; i++) {
        ok = qcow2_repair_list(g_ptr_array_index(rounds, i), &edits, errp);
    }
    if (!ok || !finish_unchanged(image, g_ptr_array_index(rounds, 0), result, errp)) {
        qapi_clear_ImageCheckEditList(&edits);
        return false;
    }
    result->check.check->has_edits = true;
    result->check.check->edits = edits;
    return true;
}

bool qcow2_repair(Qcow2Image *image, const Qcow2RepairOptions *options, Qcow2RepairResult *result, GError **errp)
{
    GError *no_room = NULL;
    g_autoptr(GPtrArray) rounds = qcow2_repair_plan_rounds(image, options, &no_room);

    *result = (Qcow2RepairResult){0};
    if (!rounds) {
        return finish_undone(image, options, result, no_room, errp);
    }
    result->leaks_kept = ((const Qcow2Repair *)g_ptr_array_index(rounds, rounds->len - 1))->leaks_kept;
    return options->dry_run ? list_edits(image, rounds, result, errp) : apply(image, rounds, result, errp);
}

void qcow2_repair_result_clear(Qcow2RepairResult *result)
{
    qcow2_check_result_clear(&result->check);
}
