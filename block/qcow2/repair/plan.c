/*
 * Planning a repair of an image as it is: what to repair, and in which order.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/repair.h"

#include <errno.h>

#include "block/qcow2/format/format.h"
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

/* Faults that keep refcount blocks, or their table, from being used: what is behind them is made anew. */
#define BLOCKS_UNUSABLE                                                                                                \
    (QCOW2_FINDING_BIT(QCOW2_FINDING_REFCOUNT_TABLE_RESERVED_BITS) |                                                   \
     QCOW2_FINDING_BIT(QCOW2_FINDING_REFCOUNT_BLOCK_UNALIGNED) |                                                       \
     QCOW2_FINDING_BIT(QCOW2_FINDING_REFCOUNT_BLOCK_SHARED) | QCOW2_FINDING_BIT(QCOW2_FINDING_REFCOUNT_BLOCK_OUTSIDE))

/* Faults that are repaired without a word in a refcount block. */
#define NO_COUNTS                                                                                                      \
    (QCOW2_FINDING_BIT(QCOW2_FINDING_L1_COPIED_WRONG) | QCOW2_FINDING_BIT(QCOW2_FINDING_L2_COPIED_WRONG) |             \
     QCOW2_FINDING_BIT(QCOW2_FINDING_DIRTY) | QCOW2_FINDING_BIT(QCOW2_FINDING_CORRUPT_BIT))

/* Faults that are reported as being repaired where they are found; others once more, when all are known. */
#define REPAIRED_AT_ONCE                                                                                               \
    (QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOTS_TOO_MANY) | QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOT_EXTRA_TOO_LARGE) | \
     QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOT_TABLE_TOO_BIG) | QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOT_INCOMPLETE) |  \
     QCOW2_FINDING_BIT(QCOW2_FINDING_PREALLOCATED_UNALIGNED) |                                                         \
     QCOW2_FINDING_BIT(QCOW2_FINDING_REFCOUNT_BLOCK_OUTSIDE))

Qcow2Repair *qcow2_repair_new(Qcow2Image *image, const Qcow2RepairOptions *options)
{
    Qcow2Repair *r = g_new0(Qcow2Repair, 1);

    r->image = image;
    r->header = &image->header;
    r->options = options;
    r->messages = options->check->messages;
    r->edits = edits_new();
    r->may_raise = options->all && qcow2_repair_wants(r, QCOW2_FINDING_REFCOUNT_TOO_LOW);
    r->may_lower = true;
    return r;
}

void qcow2_repair_free(Qcow2Repair *r)
{
    qcow2_check_clear(&r->check);
    qcow2_counting_clear(&r->metadata);
    g_clear_pointer(&r->dropped, refmap_free);
    g_clear_pointer(&r->structures, g_array_unref);
    g_clear_pointer(&r->uncounted, g_array_unref);
    g_clear_pointer(&r->zeroed, g_array_unref);
    g_clear_pointer(&r->contested, g_array_unref);
    g_clear_pointer(&r->guest_reads, refmap_free);
    g_clear_pointer(&r->moved, g_array_unref);
    g_clear_pointer(&r->moved_tables, g_array_unref);
    g_clear_pointer(&r->flagged, g_array_unref);
    g_clear_pointer(&r->cleared, g_hash_table_destroy);
    g_clear_pointer(&r->new_blocks, g_array_unref);
    edits_free(r->edits);
    g_free(r);
}

/* ---- planning ---- */

static uint64_t seen(const Qcow2Repair *r, ImageCheckFindingKind kind)
{
    return r->check.report.count_by_kind[kind];
}

static bool seen_any(const Qcow2Repair *r, uint64_t kinds)
{
    for (ImageCheckFindingKind kind = 0; kind < QCOW2_FINDING__MAX; kind++) {
        if ((kinds & QCOW2_FINDING_BIT(kind)) && seen(r, kind)) {
            return true;
        }
    }
    return false;
}

ImageCheckFindingKind qcow2_repair_reason(const Qcow2Repair *r, ImageCheckFindingKind kind)
{
    size_t n = 0;
    const Edit *edits = NULL;

    if (kind != QCOW2_FINDING__MAX && seen(r, kind)) {
        return kind;
    }
    for (EditPhase phase = 0; phase < EDIT_PHASE_MARKS && !n; phase++) {
        edits = edits_of(r->edits, phase, &n);
    }
    return n ? edits->why : kind;
}

bool qcow2_repair_may_hide_clusters(const Qcow2Repair *r)
{
    return seen_any(r, MAY_HIDE);
}

/* True where a cluster in use has a count of 0. */
static bool any_zero(const Qcow2Repair *r)
{
    Qcow2CountRun run;

    for (uint64_t at = 0; seen(r, QCOW2_FINDING_REFCOUNT_TOO_LOW) && qcow2_repair_next_run(r, at, &run);
         at = run.first + run.n) {
        if (run.known && !run.stored) {
            return true;
        }
    }
    return false;
}

/* Counts that nobody could write, or blocks that cannot be used: what the stock tool makes all blocks anew for. */
static bool blocks_broken(const Qcow2Repair *r)
{
    return seen_any(r, BLOCKS_UNUSABLE & ~QCOW2_FINDING_BIT(QCOW2_FINDING_REFCOUNT_BLOCK_OUTSIDE)) || any_zero(r);
}

/* True where refcount blocks and their table may change for one of @kinds. */
static bool may_repair_blocks(const Qcow2Repair *r, uint64_t kinds)
{
    return r->options->all && (!r->options->only || seen_any(r, kinds & r->options->only));
}

/* True where refcount blocks may be made anew: for a fault of theirs, or for counts that have no place. */
static bool may_rebuild(const Qcow2Repair *r)
{
    return may_repair_blocks(r, BLOCKS_UNUSABLE | QCOW2_FINDING_BIT(QCOW2_FINDING_REFCOUNT_TOO_LOW));
}

static bool anything_wrong(const Qcow2Repair *r)
{
    const Qcow2Report *report = &r->check.report;

    return report->corruptions || report->leaks || report->check_errors;
}

/* True where something is wrong that this mode repairs. */
static bool anything_to_repair(const Qcow2Repair *r)
{
    return r->options->all ? anything_wrong(r) : r->check.report.leaks > 0;
}

/* True where a COPIED flag contradicts the stored counts. */
static bool flags_wrong(const Qcow2Repair *r)
{
    Qcow2Report report = {.max_messages = 1}; /* one is enough: the others are counted at once */

    qcow2_tree_report_copied(r->check.trees, r->header->l1_table_offset, r->header->l1_size, &report);
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
    bool careful = !r->options->free_lost;

    r->snapshot_hidden = careful && qcow2_repair_snapshot_hidden(r);
    r->lost = careful ? qcow2_repair_lost(r) : NULL;
    r->keep_leaks =
        r->lost || (careful && qcow2_repair_may_hide_clusters(r)) || !qcow2_repair_wants(r, QCOW2_FINDING_LEAK);
    return !r->keep_leaks || qcow2_repair_keep_leaks(r, errp);
}

/* The counts, and where they can be written. */
static bool plan_counts(Qcow2Repair *r, GError **errp)
{
    if (!plan_leaks_to_keep(r, errp)) {
        return false;
    }
    if (may_repair_blocks(r, BLOCKS_UNUSABLE) && !qcow2_repair_clear_entries(r, errp)) {
        return false;
    }
    if (may_rebuild(r) && qcow2_repair_must_rebuild(r)) {
        return begin_rebuild(r, errp);
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
    if (!r->rebuild && (r->allocated || may_rebuild(r)) && qcow2_repair_must_rebuild(r) && !begin_rebuild(r, errp)) {
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
        .structure = IMAGE_CHECK_STRUCTURE_HEADER,
        .why = why,
        .count = 1,
        .what = what,
    };

    edits_add_word(r->edits, phase, &edit, value);
}

static void plan_header(Qcow2Repair *r)
{
    uint64_t features = r->header->incompatible_features;
    uint64_t marks = (qcow2_repair_wants(r, QCOW2_FINDING_DIRTY) ? QCOW2_INCOMPAT_DIRTY : 0) |
                     (qcow2_repair_wants(r, QCOW2_FINDING_CORRUPT_BIT) ? QCOW2_INCOMPAT_CORRUPT : 0);

    if ((features & marks) && !qcow2_repair_read_by_guest(r, 0)) {
        add_feature_word(r, EDIT_PHASE_MARKS, offsetof(Qcow2DiskHeader, incompatible_features), features & ~marks,
                         features & marks & QCOW2_INCOMPAT_DIRTY ? QCOW2_FINDING_DIRTY : QCOW2_FINDING_CORRUPT_BIT,
                         "clear the marks");
    }
    if (edits_any(r->edits, 0, EDIT_PHASE_PUNCH) && (r->header->autoclear_features & ~QCOW2_AUTOCLEAR_KNOWN)) {
        add_feature_word(r, EDIT_PHASE_AUTOCLEAR, offsetof(Qcow2DiskHeader, autoclear_features),
                         r->header->autoclear_features & QCOW2_AUTOCLEAR_KNOWN,
                         qcow2_repair_reason(r, QCOW2_FINDING__MAX),
                         "switch off features that this program does not know");
    }
}

static void plan_edits(Qcow2Repair *r)
{
    qcow2_repair_add_switch(r);
    qcow2_repair_add_zeroed(r);
    if (!r->rebuild) {
        qcow2_repair_add_cleared(r);
        qcow2_repair_add_counts(r);
    }
    if (!r->options->undo) {
        qcow2_repair_add_punch(r); /* what is undone must have its data */
    }
}

/*
 * True where the header itself says that a table is where it is. That is known before anything is reported. Where there
 * are too many snapshots, entries must make sense, and the header does not.
 */
static bool header_in_table(const Qcow2HeaderFields *h)
{
    bool snapshots = h->nb_snapshots && h->nb_snapshots <= QCOW2_MAX_SNAPSHOTS;

    return (snapshots && h->snapshots_offset < h->cluster_size) ||
           (h->l1_size && h->l1_table_offset < h->cluster_size) || h->refcount_table_offset < h->cluster_size;
}

/* Before they are reported, so that none is said to be repaired that is in a table which is something else besides. */
static bool look_for_zeroed(Qcow2Repair *r, GError **errp)
{
    uint64_t kind = QCOW2_FINDING_BIT(QCOW2_FINDING_PREALLOCATED_UNALIGNED);
    bool all_writable;

    if (!r->options->all || !qcow2_repair_wants(r, QCOW2_FINDING_PREALLOCATED_UNALIGNED) ||
        !qcow2_walk_any_fault(r->check.walk)) {
        return true;
    }
    if (!qcow2_repair_find_zeroed(r, &all_writable, errp)) {
        return false;
    }
    r->check.report.repairing &= all_writable ? UINT64_MAX : ~kind;
    return true;
}

/* Counts and reports, as a check does; what is repaired at once is reported so. */
static bool look(Qcow2Repair *r, GError **errp)
{
    Qcow2Check *c = &r->check;

    r->how = *r->options->check;
    if (r->options->all && !header_in_table(r->header)) {
        r->how.repairing = REPAIRED_AT_ONCE & (r->options->only ? r->options->only : UINT64_MAX);
    }
    if (!qcow2_check_count(c, r->image, &r->how, NULL, errp)) {
        return false;
    }
    r->wanted = c->counting.refs;
    r->dropped = refmap_new(refmap_clusters(r->wanted));
    r->file_clusters = refmap_clusters(r->wanted);
    if (!qcow2_repair_find_structures(r, errp) || !look_for_zeroed(r, errp) ||
        !qcow2_check_report_structures(c, errp) || !qcow2_repair_find_contested(r, errp) ||
        !qcow2_repair_choose_zeroed(r, errp)) {
        return false;
    }
    qcow2_check_report_counts(c, &c->report);
    return true;
}

/* True where nothing can be repaired without making refcount blocks anew, which is not wanted. */
static bool lacks_rebuild(const Qcow2Repair *r)
{
    bool broken = r->options->all ? seen_any(r, BLOCKS_UNUSABLE) : blocks_broken(r);
    bool counts = !r->options->only || (r->options->only & ~NO_COUNTS);

    return counts && !may_rebuild(r) && (broken || (anything_to_repair(r) && qcow2_repair_any_block_shared(r)));
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
static bool header_contested(const Qcow2Repair *r)
{
    return refmap_get(r->metadata.refs, 0) > 1 + qcow2_repair_l2_tables_in(r, 0);
}

/* Likewise where guest data lies that finds no other place, unless the header keeps its bytes. */
static bool header_read_and_changed(const Qcow2Repair *r)
{
    return qcow2_repair_read_by_guest(r, 0) && (edits_any(r->edits, EDIT_PHASE_AUTOCLEAR, EDIT_PHASE_AUTOCLEAR) ||
                                                edits_any(r->edits, EDIT_PHASE_SWITCH, EDIT_PHASE_SWITCH));
}

static void give_up_for_header(Qcow2Repair *r, const char *what)
{
    forget_plan(r);
    r->given_up = true;
    if (r->messages) {
        fprintf(r->messages,
                "Nothing is repaired, as %s said to be where the header is, and would be changed with it. 'qemu-img "
                "convert' can copy what can be read to a new image.\n",
                what);
    }
}

static bool plan(Qcow2Repair *r, GError **errp)
{
    if (lacks_rebuild(r)) {
        say(r, "ERROR need to rebuild refcount structures");
        r->check.report.check_errors++;
        qcow2_report_failure(&r->check.report, EIO);
        return true;
    }
    if (header_contested(r) && anything_to_repair(r)) {
        give_up_for_header(r, "another structure is");
        return true;
    }
    /* a clean image keeps every byte, whatever else could be said of it */
    if (anything_wrong(r) || flags_wrong(r) || r->continues) {
        if (!plan_counts(r, errp) || !plan_places(r, errp) || !plan_flags(r, errp)) {
            return false;
        }
        plan_edits(r);
    }
    plan_header(r);
    qcow2_repair_add_moved(r);
    return true;
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

bool qcow2_repair_plan(Qcow2Repair *r, GError **errp)
{
    uint64_t failed_reads = r->image->source->failed_reads;

    if (!look(r, errp) || !plan(r, errp)) {
        return false;
    }
    give_up_if_unread(r, failed_reads);
    if (header_contested(r) && edits_any(r->edits, 0, EDIT_PHASE_MARKS)) {
        give_up_for_header(r, "another structure is");
    } else if (header_read_and_changed(r)) {
        give_up_for_header(r, "guest data that finds no other place is");
    }
    return true;
}
