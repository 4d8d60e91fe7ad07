/*
 * Repairing a qcow2 image: the plan, and what becomes of it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2-repair.h"

#include <errno.h>

#include "block/qcow2-format.h"
#include "util/number.h"

/*
 * Faults behind which there may be clusters that then look as if they were leaked: what refers to them cannot be read,
 * or refers to a place where they are not. Where an entry has a bit wrong, others of it may be.
 */
#define MAY_HIDE                                                                                                       \
    (QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOTS_TOO_MANY) | QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOT_TABLE_UNALIGNED) | \
     QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOT_EXTRA_TOO_LARGE) |                                                       \
     QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOT_TABLE_TOO_BIG) |                                                         \
     QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOT_TABLE_UNREADABLE) | QCOW2_FINDING_BIT(QCOW2_FINDING_REGION_BEYOND_END) | \
     QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOT_L1_UNALIGNED) | QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOT_L1_TOO_LARGE) | \
     QCOW2_FINDING_BIT(QCOW2_FINDING_L1_UNREADABLE) | QCOW2_FINDING_BIT(QCOW2_FINDING_L1_RESERVED_BITS) |              \
     QCOW2_FINDING_BIT(QCOW2_FINDING_L2_TABLE_UNALIGNED) | QCOW2_FINDING_BIT(QCOW2_FINDING_L2_UNREADABLE) |            \
     QCOW2_FINDING_BIT(QCOW2_FINDING_L2_RESERVED_BITS) | QCOW2_FINDING_BIT(QCOW2_FINDING_COMPRESSED_COPIED) |          \
     QCOW2_FINDING_BIT(QCOW2_FINDING_COMPRESSED_WITH_DATA_FILE) |                                                      \
     QCOW2_FINDING_BIT(QCOW2_FINDING_COMPRESSED_WITH_SUBCLUSTERS) | QCOW2_FINDING_BIT(QCOW2_FINDING_DATA_UNALIGNED) |  \
     QCOW2_FINDING_BIT(QCOW2_FINDING_UNALLOCATED_WITH_SUBCLUSTERS) |                                                   \
     QCOW2_FINDING_BIT(QCOW2_FINDING_BITMAP_DIRECTORY_DAMAGED) |                                                       \
     QCOW2_FINDING_BIT(QCOW2_FINDING_BITMAP_DIRECTORY_UNREADABLE) | QCOW2_FINDING_BIT(QCOW2_FINDING_BITMAP_DAMAGED) |  \
     QCOW2_FINDING_BIT(QCOW2_FINDING_BITMAP_TABLE_UNREADABLE) | QCOW2_FINDING_BIT(QCOW2_FINDING_BITMAP_TABLE_ENTRY))

/* Faults that are reported as being repaired where they are found; others once more, when all are known. */
#define REPAIRED_AT_ONCE                                                                                               \
    (QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOTS_TOO_MANY) | QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOT_EXTRA_TOO_LARGE) | \
     QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOT_TABLE_TOO_BIG) | QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOT_INCOMPLETE) |  \
     QCOW2_FINDING_BIT(QCOW2_FINDING_PREALLOCATED_UNALIGNED) |                                                         \
     QCOW2_FINDING_BIT(QCOW2_FINDING_REFCOUNT_BLOCK_OUTSIDE))

static void clear_repair(Qcow2Repair *r)
{
    qcow2_check_clear(&r->check);
    qcow2_counting_clear(&r->metadata);
    g_clear_pointer(&r->dropped, refmap_free);
    g_clear_pointer(&r->structures, g_array_unref);
    g_clear_pointer(&r->zeroed, g_array_unref);
    g_clear_pointer(&r->moved, g_array_unref);
    g_clear_pointer(&r->flagged, g_array_unref);
    g_clear_pointer(&r->cleared, g_hash_table_destroy);
    g_clear_pointer(&r->new_blocks, g_array_unref);
    g_clear_pointer(&r->edits, edits_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Qcow2Repair, clear_repair)

/* ---- planning ---- */

static uint64_t seen(const Qcow2Repair *r, ImageCheckFindingKind kind)
{
    return r->check.report.seen[kind];
}

/* True where the refcount table reaches beyond the end of the file, which a rebuild sets right. */
static bool table_beyond_end(const Qcow2Repair *r)
{
    return qcow2_region_beyond_end(&r->check.counting, r->header->refcount_table_offset,
                                   (uint64_t)r->header->refcount_table_clusters << r->header->cluster_bits);
}

/* How many findings of @kind the repair makes go away, of those behind which there may be clusters. */
static uint64_t repaired(const Qcow2Repair *r, ImageCheckFindingKind kind)
{
    const Qcow2Snapshots *snapshots = &r->check.snapshots;

    switch (r->options->all ? kind : QCOW2_FINDING__MAX) {
    case QCOW2_FINDING_REGION_BEYOND_END:
        return r->zeroed_beyond + table_beyond_end(r);
    case QCOW2_FINDING_L2_RESERVED_BITS:
        return r->zeroed_reserved;
    case QCOW2_FINDING_SNAPSHOT_EXTRA_TOO_LARGE:
        return snapshots->complete && !snapshots->given_up ? seen(r, kind) : 0;
    default:
        return 0;
    }
}

/* True where a fault remains that may be what made clusters leak. */
static bool may_hide_clusters(const Qcow2Repair *r)
{
    for (ImageCheckFindingKind kind = 0; kind < QCOW2_FINDING__MAX; kind++) {
        if ((MAY_HIDE & QCOW2_FINDING_BIT(kind)) && seen(r, kind) > repaired(r, kind)) {
            return true;
        }
    }
    return false;
}

/* Counts that nobody could write, or blocks that cannot be used: what the stock tool makes all blocks anew for. */
static bool blocks_broken(const Qcow2Repair *r)
{
    Qcow2CountRun run;

    if (seen(r, QCOW2_FINDING_REFCOUNT_TABLE_RESERVED_BITS) || seen(r, QCOW2_FINDING_REFCOUNT_BLOCK_UNALIGNED) ||
        seen(r, QCOW2_FINDING_REFCOUNT_BLOCK_SHARED)) {
        return true;
    }
    for (uint64_t at = 0; seen(r, QCOW2_FINDING_REFCOUNT_TOO_LOW) && qcow2_repair_next_run(r, at, &run);
         at = run.first + run.n) {
        if (run.known && !run.stored) {
            return true;
        }
    }
    return false;
}

static bool anything_wrong(const Qcow2Repair *r)
{
    const Qcow2Report *report = &r->check.report;

    return report->corruptions || report->leaks || report->check_errors;
}

/* True where a COPIED flag contradicts the stored counts. */
static bool flags_wrong(const Qcow2Repair *r)
{
    Qcow2Report report = {.max_messages = 1}; /* one is enough: the others are counted at once */

    qcow2_walk_report_copied(r->check.walk, r->header->l1_table_offset, r->header->l1_size, &report);
    return report.corruptions != 0;
}

static void say(const Qcow2Repair *r, const char *text)
{
    if (r->messages) {
        fprintf(r->messages, "%s\n", text);
    }
}

/* Says once more which counts are wrong, and which of them are being repaired. */
static void report_counts_again(Qcow2Repair *r)
{
    Qcow2Report again = {
        .messages = r->messages,
        .max_messages = r->options->check->max_messages,
        .repairing = (r->may_raise ? QCOW2_FINDING_BIT(QCOW2_FINDING_REFCOUNT_TOO_LOW) : 0) |
                     (r->may_lower ? QCOW2_FINDING_BIT(QCOW2_FINDING_LEAK) : 0),
    };

    qcow2_check_report_counts(&r->check, &again);
    qcow2_report_summary(&again);
}

static bool begin_rebuild(Qcow2Repair *r, GError **errp)
{
    say(r, "Rebuilding refcount structure");
    return qcow2_repair_begin_rebuild(r, errp);
}

static bool plan_leaks_to_keep(Qcow2Repair *r, GError **errp)
{
    r->keep_leaks = (!r->options->free_lost && may_hide_clusters(r)) || !qcow2_repair_wants(r, QCOW2_FINDING_LEAK);
    if (!r->keep_leaks || !qcow2_repair_keep_leaks(r, errp)) {
        return !r->keep_leaks;
    }
    if (r->leaks_kept && qcow2_repair_wants(r, QCOW2_FINDING_LEAK)) {
        say(r, "Leaked clusters are kept, as one of the faults above may be what makes them look leaked, and something "
               "may be in them. --free-lost frees them all the same.");
    }
    return true;
}

/* The counts, and where they can be written. */
static bool plan_counts(Qcow2Repair *r, GError **errp)
{
    if (!plan_leaks_to_keep(r, errp)) {
        return false;
    }
    if (r->options->all && qcow2_repair_wants(r, QCOW2_FINDING_REFCOUNT_BLOCK_OUTSIDE)) {
        if (!qcow2_repair_clear_entries(r, errp)) {
            return false;
        }
        if (qcow2_repair_must_rebuild(r)) {
            return begin_rebuild(r, errp);
        }
    }
    if (r->check.report.corruptions || r->check.report.leaks) {
        report_counts_again(r);
    }
    return true;
}

/* What gets a new place, and with it counts of its own. */
static bool plan_places(Qcow2Repair *r, GError **errp)
{
    if (!r->options->all) {
        return true;
    }
    if (!qcow2_repair_find_append_end(r, errp)) {
        return false;
    }
    if (qcow2_repair_wants(r, QCOW2_FINDING_REFCOUNT_TOO_LOW) && !qcow2_repair_find_moved(r, errp)) {
        return false;
    }
    if (!qcow2_repair_rewrite_snapshots(r, errp)) {
        return false;
    }
    if (!r->rebuild && qcow2_repair_wants(r, QCOW2_FINDING_REFCOUNT_BLOCK_OUTSIDE) && qcow2_repair_must_rebuild(r) &&
        !begin_rebuild(r, errp)) {
        return false;
    }
    return (!r->rebuild || qcow2_repair_place_rebuilt(r, errp)) && qcow2_repair_follow_header(r, errp);
}

/* True where COPIED flags are repaired: always or, if only leaks are to be, where nothing else is wrong. */
static bool flags_wanted(const Qcow2Repair *r)
{
    const Qcow2Report *report = &r->check.report;
    uint64_t corruptions = report->corruptions - seen(r, QCOW2_FINDING_SNAPSHOT_INCOMPLETE);

    return qcow2_repair_wants(r, QCOW2_FINDING_L1_COPIED_WRONG) &&
           (r->options->all || (!corruptions && !report->check_errors && !r->leaks_kept));
}

static bool plan_flags(Qcow2Repair *r, GError **errp)
{
    Qcow2CountRun run;

    if (!flags_wrong(r) && !qcow2_repair_next_run(r, 0, &run) && !r->rebuild) {
        return true;
    }
    if (!qcow2_repair_find_flags(r, errp) || !qcow2_repair_report_flags(r, flags_wanted(r), &r->check.report, errp)) {
        return false;
    }
    qcow2_report_summary(&r->check.report);
    return true;
}

/* An 8-byte word of the header. */
static void add_feature_word(Qcow2Repair *r, EditPhase phase, uint64_t offset, uint64_t value,
                             ImageCheckFindingKind why, const char *what)
{
    Edit edit = {
        .offset = offset,
        .size = 8,
        .structure = IMAGE_CHECK_STRUCTURE_HEADER,
        .why = why,
        .count = 1,
        .what = what,
        .bytes = g_malloc(8),
    };

    store_be64(edit.bytes, value);
    edits_add(r->edits, phase, &edit);
}

static void plan_header(Qcow2Repair *r)
{
    uint64_t features = r->header->incompatible_features;
    uint64_t marks = (qcow2_repair_wants(r, QCOW2_FINDING_DIRTY) ? QCOW2_INCOMPAT_DIRTY : 0) |
                     (qcow2_repair_wants(r, QCOW2_FINDING_CORRUPT_BIT) ? QCOW2_INCOMPAT_CORRUPT : 0);

    if (features & marks) {
        add_feature_word(r, EDIT_PHASE_MARKS, offsetof(Qcow2DiskHeader, incompatible_features), features & ~marks,
                         features & marks & QCOW2_INCOMPAT_DIRTY ? QCOW2_FINDING_DIRTY : QCOW2_FINDING_CORRUPT_BIT,
                         "clear the marks, if nothing is wrong any more");
    }
    if (edits_any(r->edits, 0, EDIT_PHASE_PUNCH) && (r->header->autoclear_features & ~QCOW2_AUTOCLEAR_KNOWN)) {
        add_feature_word(r, EDIT_PHASE_AUTOCLEAR, offsetof(Qcow2DiskHeader, autoclear_features),
                         r->header->autoclear_features & QCOW2_AUTOCLEAR_KNOWN, QCOW2_FINDING_DIRTY,
                         "switch off features that this program does not know");
    }
}

static void plan_edits(Qcow2Repair *r)
{
    if (!r->rebuild) {
        qcow2_repair_add_counts(r);
        qcow2_repair_add_cleared(r);
    }
    qcow2_repair_add_switch(r);
    qcow2_repair_add_zeroed(r);
    if (!r->options->undo) {
        qcow2_repair_add_punch(r); /* what is undone must have its data */
    }
}

/* Counts and reports, as a check does; what is repaired at once is reported so. */
static bool look(Qcow2Repair *r, Qcow2CheckOptions *options, GError **errp)
{
    Qcow2Check *c = &r->check;

    *options = *r->options->check;
    if (r->options->all) {
        options->repairing = REPAIRED_AT_ONCE & (r->options->only ? r->options->only : UINT64_MAX);
    }
    if (!qcow2_check_count(c, r->image, options, NULL, errp)) {
        return false;
    }
    r->wanted = c->counting.refs;
    r->dropped = refmap_new(refmap_clusters(r->wanted));
    r->file_clusters = refmap_clusters(r->wanted);
    if (!qcow2_repair_find_structures(r, errp) || !qcow2_check_report_structures(c, errp)) {
        return false;
    }
    if (r->options->all && seen(r, QCOW2_FINDING_PREALLOCATED_UNALIGNED) &&
        qcow2_repair_wants(r, QCOW2_FINDING_PREALLOCATED_UNALIGNED) && !qcow2_repair_find_zeroed(r, errp)) {
        return false;
    }
    qcow2_check_report_counts(c, &c->report);
    return true;
}

/* True where nothing can be repaired without making refcount blocks anew, which is not wanted. */
static bool lacks_rebuild(const Qcow2Repair *r)
{
    bool may_rebuild = r->options->all && qcow2_repair_wants(r, QCOW2_FINDING_REFCOUNT_BLOCK_OUTSIDE);

    return !may_rebuild && ((!r->options->all && blocks_broken(r)) || qcow2_repair_any_block_shared(r));
}

static bool plan(Qcow2Repair *r, GError **errp)
{
    if (lacks_rebuild(r)) {
        say(r, "ERROR need to rebuild refcount structures");
        r->check.report.check_errors++;
        qcow2_report_failure(&r->check.report, EIO);
        return true;
    }
    /* a clean image keeps every byte, whatever else could be said of it */
    if (anything_wrong(r) || flags_wrong(r)) {
        if (!plan_counts(r, errp) || !plan_places(r, errp) || !plan_flags(r, errp)) {
            return false;
        }
        plan_edits(r);
    }
    plan_header(r);
    return true;
}

static void forget_plan(Qcow2Repair *r)
{
    edits_free(r->edits);
    r->edits = edits_new();
    r->leaks_kept = 0;
}

/*
 * Where an L1 table is said to be where the header is, the header's words are its entries: a repair would change what a
 * guest reads. An L2 table is not read there.
 */
static void give_up_if_header_contested(Qcow2Repair *r)
{
    if (edits_any(r->edits, 0, EDIT_PHASE_MARKS) &&
        refmap_get(r->metadata.refs, 0) > 1 + qcow2_repair_l2_tables_in(r, 0)) {
        forget_plan(r);
        r->given_up = true;
        say(r, "Nothing is repaired, as another structure is said to be where the header is, and would be changed with "
               "it. 'qemu-img convert' can copy what can be read to a new image.");
    }
}

/*
 * Where something could not be read, nothing is known of what it refers to: no plan without it is safe. Refcount blocks
 * alone can be missing, as all counts can be made anew.
 */
static void give_up_if_unread(Qcow2Repair *r, uint64_t failed_before)
{
    const BlockSource *source = r->image->source;

    if (source->failed_reads - failed_before <= r->check.unread_blocks && !qcow2_image_partly_unread(r->image)) {
        return;
    }
    forget_plan(r);
    qcow2_report_failure(&r->check.report, -source->read_error);
    if (r->messages) {
        fprintf(r->messages,
                "Nothing is repaired, as metadata could not be read (%s): a repair without it could destroy what it "
                "refers to. Try again, or copy the image to a sound disk first.\n",
                g_strerror(-source->read_error));
    }
}

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

static int64_t less(uint64_t before, uint64_t after)
{
    return before > after ? before - after : 0;
}

/* ---- what was fixed, among the findings ---- */

static guint hash_finding(gconstpointer key)
{
    const ImageCheckFinding *f = key;
    uint64_t place = f->entry_offset ^ (f->cluster ? f->cluster->offset << 1 : 0);

    return g_int64_hash(&place) ^ (guint)f->kind;
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

/* Checks what is on disk now, and clears the marks if that is right. */
static bool check_again(Qcow2Repair *r, Qcow2RepairResult *result, GError **errp)
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
    options.opaque = r->edits;
    image = qcow2_open(r->image->source, NULL, errp);
    ok = image && qcow2_check(image, &options, &result->check, errp) &&
         add_fixed(&before, &result->check.check->findings, errp);
    qapi_clear_ImageCheckFindingList(&before);
    if (!ok) {
        return false;
    }
    check = result->check.check;
    check->corruptions_fixed = less(corruptions, check->corruptions);
    check->leaks_fixed = less(leaks, check->leaks);
    return true;
}

/* True where a snapshot table was read, to be repaired, that a check gives up at. */
static bool read_beyond_limits(const Qcow2Repair *r)
{
    return r->options->all &&
           (seen(r, QCOW2_FINDING_SNAPSHOTS_TOO_MANY) || seen(r, QCOW2_FINDING_SNAPSHOT_EXTRA_TOO_LARGE) ||
            seen(r, QCOW2_FINDING_SNAPSHOT_TABLE_TOO_BIG));
}

/*
 * Nothing was written, or nothing but marks: what was found in planning is the result. What a dry run says of the image
 * as it is, what stays where planning read on and a check gives up, and lists that take more than the counts, are made
 * by a check of their own, whose messages have been printed already: in planning a fault that goes away with another is
 * not counted, as with the stock tool.
 */
static bool finish_unchanged(Qcow2Repair *r, Qcow2RepairResult *result, GError **errp)
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
    if (!qcow2_check(r->image, &options, &result->check, errp)) {
        return false;
    }
    result->check.failure = failure ? failure : result->check.failure;
    result->check.check->check_errors = MAX((uint64_t)result->check.check->check_errors, check_errors);
    return true;
}

static bool is_right(const Qcow2Report *report)
{
    return !report->corruptions && !report->check_errors && !report->failure;
}

/* New structures, where nothing lies. */
static bool fill_free_space(Qcow2Repair *r, GError **errp)
{
    BlockSource *source = r->image->source;
    uint64_t length = source->length;

    if (edits_apply(r->edits, EDIT_PHASE_FREE_SPACE, EDIT_PHASE_FREE_SPACE, source, errp)) {
        return true;
    }
    if (source->length > length) {
        block_source_truncate(source, length); /* if that fails, there are bytes that nobody looks at */
    }
    g_prefix_error(errp, "No room for what must be written anew, and nothing was changed: ");
    return false;
}

static bool apply(Qcow2Repair *r, Qcow2RepairResult *result, GError **errp)
{
    BlockSource *source = r->image->source;
    bool changes = edits_any(r->edits, 0, EDIT_PHASE_PUNCH);

    if ((changes || edits_any(r->edits, EDIT_PHASE_MARKS, EDIT_PHASE_MARKS)) && r->options->undo &&
        !edits_save(r->edits, source, r->options->undo, errp)) {
        return false;
    }
    if (!changes) {
        return (!is_right(&r->check.report) || clear_marks(r->edits, r->image, errp)) &&
               finish_unchanged(r, result, errp);
    }
    return fill_free_space(r, errp) &&
           edits_apply(r->edits, EDIT_PHASE_FREE_SPACE + 1, EDIT_PHASE_PUNCH, source, errp) &&
           check_again(r, result, errp);
}

/* What would be written goes with the verdict on what is there. */
static bool list_edits(Qcow2Repair *r, Qcow2RepairResult *result, GError **errp)
{
    ImageCheckEditList edits = {0};

    if (!qcow2_repair_list(r, &edits, errp) || !finish_unchanged(r, result, errp)) {
        qapi_clear_ImageCheckEditList(&edits);
        return false;
    }
    result->check.check->has_edits = true;
    result->check.check->edits = edits;
    return true;
}

bool qcow2_repair(Qcow2Image *image, const Qcow2RepairOptions *options, Qcow2RepairResult *result, GError **errp)
{
    uint64_t failed_reads = image->source->failed_reads;
    Qcow2CheckOptions how;
    g_auto(Qcow2Repair) r = {
        .image = image,
        .header = &image->header,
        .options = options,
        .messages = options->check->messages,
        .edits = edits_new(),
    };

    *result = (Qcow2RepairResult){0};
    r.may_raise = options->all && qcow2_repair_wants(&r, QCOW2_FINDING_REFCOUNT_TOO_LOW);
    r.may_lower = true;
    if (!look(&r, &how, errp) || !plan(&r, errp)) {
        return false;
    }
    give_up_if_unread(&r, failed_reads);
    give_up_if_header_contested(&r);
    result->lost_kept = r.leaks_kept && qcow2_repair_wants(&r, QCOW2_FINDING_LEAK);
    if (options->dry_run) {
        return list_edits(&r, result, errp);
    }
    return apply(&r, result, errp);
}

void qcow2_repair_result_clear(Qcow2RepairResult *result)
{
    qcow2_check_result_clear(&result->check);
}
