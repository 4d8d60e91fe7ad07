/*
 * The engine of a check: reads and counts, then reports.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/check/check.h"

#include <errno.h>

#include "block/limits.h"
#include "block/qcow2/check/compare.h"
#include "block/qcow2/check/memory.h"
#include "block/qcow2/check/refblocks.h"
#include "util/number.h"

void qcow2_check_forget_counts(Qcow2Check *c)
{
    g_clear_pointer(&c->trees, qcow2_tree_report_free);
    g_clear_pointer(&c->walk, qcow2_walk_free);
    g_clear_pointer(&c->stored, qcow2_stored_counts_free);
    qcow2_counting_clear(&c->counting);
}

void qcow2_check_clear(Qcow2Check *c)
{
    qcow2_check_forget_counts(c);
    g_clear_pointer(&c->kept, refmap_free);
    g_clear_pointer(&c->collector, qcow2_collector_free);
    qcow2_regions_clear(&c->regions);
    qcow2_bitmap_directory_clear(&c->bitmaps);
    qcow2_snapshots_clear(&c->snapshots);
}

static void enter_phase(const Qcow2Check *c, CheckPhase phase)
{
    if (c->options->progress) {
        __atomic_store_n(&c->options->progress->phase, phase, __ATOMIC_RELAXED);
    }
}

/* False where memory is short: what was not read for that must not look like what is not there. */
static bool read_bitmaps(Qcow2Check *c, GError **errp)
{
    const Qcow2Extensions *e = &c->image->extensions;
    g_autoptr(GError) error = NULL;

    if (e->has_bitmaps && !qcow2_read_bitmap_directory(c->image->source, &c->image->header, e, &c->bitmaps, &error)) {
        if (g_error_matches(error, BLOCK_ERROR, ENOMEM)) {
            g_set_error_literal(errp, BLOCK_ERROR, ENOMEM, "No memory for the bitmap directory");
            return false;
        }
        qcow2_report(&c->report,
                     &(Qcow2Finding){QCOW2_FINDING_BITMAP_DIRECTORY_UNREADABLE,
                                     {e->bitmap_directory_offset},
                                     {error->message},
                                     qcow2_location_range(IMAGE_CHECK_STRUCTURE_BITMAP_DIRECTORY,
                                                          e->bitmap_directory_offset, e->bitmap_directory_size)});
        qcow2_report_failure(&c->report, error->code);
    }
    return true;
}

static BlockReadOptions read_options(const Qcow2Check *c)
{
    return (BlockReadOptions){.workers = c->options->workers, .progress = c->options->progress};
}

static bool count_references(Qcow2Check *c, const Qcow2TableVisitor *const *visitors, GError **errp)
{
    const Qcow2HeaderFields *h = &c->image->header;
    BlockReadOptions read = read_options(c);

    enter_phase(c, CHECK_PHASE_TABLES);
    qcow2_counting_init(&c->counting, h, c->image->source->length);
    c->walk = qcow2_walk_new(c->image->source, c->regions.l1_tables, c->stored, &c->counting, &read,
                             c->options->max_messages);
    if (!qcow2_regions_count(&c->regions, &c->counting, errp) || !qcow2_walk_count(c->walk, visitors, errp)) {
        return false;
    }
    qcow2_counting_finish(&c->counting);
    if (!qcow2_walk_finish(c->walk, errp)) {
        return false;
    }
    c->trees = qcow2_tree_report_new(c->walk, c->regions.l1_tables, c->stored, &c->counting);
    return true;
}

bool qcow2_check_source_there(const Qcow2Check *c, GError **errp)
{
    if (g_atomic_int_get(&c->image->source->lost)) {
        g_set_error_literal(errp, BLOCK_ERROR, EIO, "the image cannot be read any more");
        return false;
    }
    return true;
}

static bool load_stored_counts(Qcow2Check *c, GError **errp)
{
    Qcow2Image *image = c->image;
    uint64_t failed = image->source->failed_reads;
    BlockReadOptions read = read_options(c);

    enter_phase(c, CHECK_PHASE_REFCOUNTS);
    c->stored = qcow2_stored_counts_load(image->source, &image->header, &image->refcount_table, &read, errp);
    c->unread_blocks = image->source->failed_reads - failed;
    return c->stored != NULL;
}

static bool list_regions(Qcow2Check *c, GError **errp)
{
    BlockReadOptions read = read_options(c);

    return qcow2_regions_init(&c->regions, c->image, &c->snapshots, &c->bitmaps, &read, errp);
}

/* Reads what is read before anything is counted. */
static bool begin(Qcow2Check *c, Qcow2Image *image, const Qcow2CheckOptions *options, GError **errp)
{
    *c = (Qcow2Check){.image = image,
                      .options = options,
                      .report = {.messages = options->messages,
                                 .max_messages = options->max_messages,
                                 .repairing = options->repairing,
                                 .no_advice = options->no_advice}};
    if (!qcow2_memory_suffices(image, errp)) {
        return false;
    }
    if (options->findings || options->corruptions) {
        c->collector = c->report.collector = qcow2_collector_new(LIMIT_FINDINGS, !options->findings);
    }
    qcow2_luks_read(&c->luks, image);
    qcow2_read_snapshots(image->source, &image->header, &c->snapshots, &c->report);
    return read_bitmaps(c, errp);
}

bool qcow2_check_count(Qcow2Check *c, Qcow2Image *image, const Qcow2CheckOptions *options,
                       const Qcow2TableVisitor *const *visitors, GError **errp)
{
    return begin(c, image, options, errp) && load_stored_counts(c, errp) && list_regions(c, errp) &&
           count_references(c, visitors, errp) && qcow2_check_source_there(c, errp);
}

static void report_unread_header(Qcow2Check *c)
{
    const Qcow2Image *image = c->image;

    if (image->header_unread_from) {
        qcow2_report(&c->report,
                     &(Qcow2Finding){QCOW2_FINDING_HEADER_EXTENSIONS_UNREADABLE,
                                     {image->header_unread_from},
                                     {g_strerror(image->header_error)},
                                     qcow2_location_range(IMAGE_CHECK_STRUCTURE_HEADER, image->header_unread_from,
                                                          image->header.cluster_size - image->header_unread_from)});
        qcow2_report_failure(&c->report, image->header_error);
    }
}

bool qcow2_check_report_structures(Qcow2Check *c, GError **errp)
{
    enter_phase(c, CHECK_PHASE_COMPARING);
    qcow2_regions_report(&c->regions, &c->counting, c->trees, &c->report);
    report_unread_header(c);
    return qcow2_count_refcount_blocks(&c->image->refcount_table, &c->counting, &c->report, errp);
}

void qcow2_check_report_counts(Qcow2Check *c, Qcow2Report *report)
{
    c->used_end = qcow2_compare_refcounts(&c->image->header, c->stored, c->counting.refs, report);
}

bool qcow2_check_report(Qcow2Check *c, GError **errp)
{
    const Qcow2HeaderFields *h = &c->image->header;

    if (!qcow2_check_report_structures(c, errp)) {
        return false;
    }
    qcow2_check_report_counts(c, &c->report);
    qcow2_tree_report_copied(c->trees, h->l1_table_offset, h->l1_size, NULL, &c->report);
    qcow2_report_summary(&c->report);
    return true;
}
