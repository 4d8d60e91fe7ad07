/*
 * The image as the edits so far leave it, counted.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/stage.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>

#include "block/io/edited.h"
#include "block/qcow2/format/format.h"
#include "block/qcow2/repair/kept-leaks.h"
#include "block/qcow2/repair/passes.h"
#include "block/qcow2/repair/overlap.h"

/* Faults that are reported as being repaired where they are found; others once more, when all are known. */
#define REPAIRED_AT_ONCE                                                                                               \
    (QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOTS_TOO_MANY) | QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOT_EXTRA_TOO_LARGE) | \
     QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOT_TABLE_TOO_BIG) | QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOT_INCOMPLETE) |  \
     QCOW2_FINDING_BIT(QCOW2_FINDING_PREALLOCATED_UNALIGNED) |                                                         \
     QCOW2_FINDING_BIT(QCOW2_FINDING_REFCOUNT_BLOCK_OUTSIDE))

bool repair_no_memory(GError **errp)
{
    g_set_error_literal(errp, BLOCK_ERROR, ENOMEM, "No memory for planning the repair");
    return false;
}

bool repair_first_time(const RepairInput *in, const char *what)
{
    return g_hash_table_add(in->said, g_strdup(what));
}

void repair_say(const RepairInput *in, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, format);
    text = g_strdup_vprintf(format, ap);
    va_end(ap);
    if (repair_first_time(in, text) && in->messages) {
        fputs(text, in->messages);
    }
}

static Stage *stage_new(const Qcow2Image *image, const RepairInput *in)
{
    Stage *s = g_new0(Stage, 1);

    s->in = *in;
    s->in.image = image;
    s->in.header = &image->header;
    s->in.check = &s->check;
    return s;
}

void stage_free(Stage *s)
{
    if (s) {
        allocator_clear(&s->alloc);
        target_counts_clear(&s->targets);
        layout_clear(&s->layout);
        qcow2_check_clear(&s->check);
        g_clear_pointer(&s->unreadable, qcow2_unreadable_free);
        g_clear_pointer(&s->opened, qcow2_close);
        g_clear_pointer(&s->view, block_source_close);
        g_free(s);
    }
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Stage, stage_free)

/* Counts, and finds out where structures are. */
static bool count(Stage *s, Qcow2Image *image, GError **errp)
{
    const Qcow2TableVisitor *const visitors[] = {s->unreadable ? qcow2_unreadable_visitor(s->unreadable) : NULL, NULL};

    return qcow2_check_count(&s->check, image, &s->options, visitors, errp) && layout_init(&s->layout, &s->check, errp);
}

/* Reports the faults of structures, and finds the guest data that lies on them. */
static bool report_structures(Stage *s, GError **errp)
{
    return qcow2_check_report_structures(&s->check, errp) && overlap_find(&s->layout, errp);
}

/* Refcount blocks alone can be missing, as all counts can be made anew. */
static void find_whether_unread(Stage *s, uint64_t failed_before)
{
    uint64_t failed = s->in.image->source->failed_reads - failed_before;

    s->unread = failed > s->check.unread_blocks || qcow2_image_partly_unread(s->in.image);
}

/*
 * Returns true if the header itself says that a table is where it is. That is known before anything is reported. Where
 * there are too many snapshots, entries must make sense, and the header does not.
 */
static bool header_in_table(const Qcow2HeaderFields *h)
{
    bool snapshots = h->nb_snapshots && h->nb_snapshots <= QCOW2_MAX_SNAPSHOTS;

    return (snapshots && h->snapshots_offset < h->cluster_size) ||
           (h->l1_size && h->l1_table_offset < h->cluster_size) || h->refcount_table_offset < h->cluster_size;
}

Stage *stage_new_first(Qcow2Image *image, const Qcow2RepairOptions *options, GHashTable *said, GError **errp)
{
    RepairInput in = {.options = options, .messages = options->check->messages, .said = said};
    g_autoptr(Stage) s = stage_new(image, &in);
    uint64_t failed_reads = image->source->failed_reads;

    s->in.report = &s->check.report;
    s->options = *options->check;
    if (options->all && !header_in_table(&image->header)) {
        s->options.repairing = REPAIRED_AT_ONCE & (options->only ? options->only : UINT64_MAX);
    }
    if (s->options.judgement) {
        s->unreadable = qcow2_unreadable_new(image);
    }
    if (!count(s, image, errp)) {
        return NULL;
    }
    /* no entry is reported as being repaired that is in a table which is something else too */
    if (!entries_all_writable(&s->layout)) {
        s->check.report.repairing &= ~QCOW2_FINDING_BIT(QCOW2_FINDING_PREALLOCATED_UNALIGNED);
    }
    if (!report_structures(s, errp)) {
        return NULL;
    }
    find_whether_unread(s, failed_reads);
    return g_steal_pointer(&s);
}

Stage *stage_new_after(const Stage *before, BlockSource *source, const Edits *edits, GError **errp)
{
    BlockSource *view = block_source_new_edited(source, edits);
    Qcow2Image *image = qcow2_open(view, NULL, errp);
    g_autoptr(Stage) s = NULL;

    if (!image) {
        block_source_close(view);
        return NULL;
    }
    s = stage_new(image, &before->in);
    s->view = view;
    s->opened = image;
    s->options = (Qcow2CheckOptions){.workers = before->options.workers, .max_messages = 1};
    if (!count(s, image, errp) || !report_structures(s, errp)) {
        return NULL;
    }
    qcow2_check_report_counts(&s->check, &s->check.report);
    find_whether_unread(s, 0);
    return g_steal_pointer(&s);
}

bool stage_set_targets(Stage *s, const TargetCounts *first, Reserved *reserved, GError **errp)
{
    assert(!s->alloc.targets && first != &s->targets);
    s->in.first = first;
    target_counts_init(&s->targets, &s->in, &s->layout);
    if (!keep_leaks(&s->targets, &s->check, errp)) {
        return false;
    }
    s->targets.may_raise |= reserved->any; /* what is new needs counts, and others are raised with them */
    allocator_init(&s->alloc, &s->targets, reserved);
    return true;
}
