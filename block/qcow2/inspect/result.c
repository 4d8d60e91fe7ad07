/*
 * The result of a check.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/result.h"

#include <stddef.h>

#include "block/qcow2/format/format.h"
#include "block/qcow2/inspect/diagnostics.h"
#include "block/qcow2/inspect/explain.h"
#include "block/qcow2/inspect/viscera.h"
#include "util/number.h"
#include "util/text.h"

/*
 * Returns true if the end of what is used may be farther on than what is known: something could not be counted, and
 * stored counts are missing, or the file has more. Scripts cut volumes to this number.
 */
static bool end_is_unknown(const Qcow2Check *c)
{
    const Qcow2HeaderFields *h = &c->image->header;
    uint64_t file_clusters = DIV_ROUND_UP(c->image->source->length, h->cluster_size);
    const uint64_t *found = c->report.count_by_kind;

    if (!c->report.check_errors && !c->report.failure) {
        return false;
    }
    return c->used_end < file_clusters || found[QCOW2_FINDING_REFCOUNT_TOO_LOW] ||
           found[QCOW2_FINDING_REFCOUNT_UNREADABLE] || found[QCOW2_FINDING_REFCOUNT_TABLE_UNREADABLE];
}

ImageCheck *qcow2_check_verdict(const Qcow2Check *c)
{
    const Qcow2HeaderFields *h = &c->image->header;
    Qcow2Statistics statistics = qcow2_walk_statistics(c->walk);
    ImageCheck *check = g_new0(ImageCheck, 1);

    check->check_errors = c->report.check_errors;
    check->image_end_offset = end_is_unknown(c) ? 0 : c->used_end << h->cluster_bits;
    check->corruptions = c->report.corruptions;
    check->leaks = c->report.leaks;
    check->total_clusters = DIV_ROUND_UP(h->size / QCOW2_SECTOR_SIZE * QCOW2_SECTOR_SIZE, h->cluster_size);
    check->allocated_clusters = statistics.allocated;
    check->fragmented_clusters = statistics.fragmented;
    check->compressed_clusters = statistics.compressed;
    check->has_virtual_size = check->has_cluster_size = true;
    check->virtual_size = h->size;
    check->cluster_size = h->cluster_size;
    return check;
}

/* A word of the header, @field bytes into the file. */
static Qcow2Location header_word(uint64_t field)
{
    return qcow2_location(IMAGE_CHECK_STRUCTURE_HEADER, field, 0, 0);
}

static void add_note(Qcow2Check *c, GPtrArray *notes, const Qcow2Finding *note)
{
    g_ptr_array_add(notes, qcow2_finding_message(note));
    if (c->collector) {
        qcow2_collector_add(c->collector, note);
    }
}

static void add_encryption_note(Qcow2Check *c, GPtrArray *notes)
{
    const Qcow2Extensions *e = &c->image->extensions;

    if (c->luks.problem) {
        add_note(c, notes,
                 &(Qcow2Finding){QCOW2_FINDING_ENCRYPTION_HEADER_DAMAGED, .texts = {c->luks.problem},
                                 .location = qcow2_location(IMAGE_CHECK_STRUCTURE_CRYPT_HEADER, e->crypt_header_entry,
                                                            e->crypt_header_offset, e->crypt_header_length)});
    }
}

/* The name of the backing file, made safe for a terminal; NULL where it has none, or none that can be read. */
static char *backing_name(const Qcow2Image *image)
{
    char name[QCOW2_MAX_BACKING_NAME];
    size_t size = image->header.backing_file_size;

    if (!image->header.backing_file_offset || !size || size > sizeof(name) ||
        block_source_read(image->source, name, size, image->header.backing_file_offset) < 0) {
        return NULL;
    }
    return text_escape(name, size);
}

static void add_backing_note(const Qcow2Image *image, GPtrArray *notes)
{
    g_autofree char *name = backing_name(image);

    if (name) {
        g_ptr_array_add(notes, g_strdup_printf("The backing file '%s' was not looked at.", name));
    }
}

/* The name of the external data file, made safe for a terminal; NULL where the header has none that can be read. */
static char *data_file_name(const Qcow2Image *image)
{
    const Qcow2HeaderFields *h = &image->header;
    g_autofree uint8_t *bytes = g_malloc(h->cluster_size);
    Qcow2ExtensionRecord record;
    uint64_t at = 0;

    if (block_source_read(image->source, bytes, h->cluster_size, 0) < 0) {
        return NULL;
    }
    while (qcow2_next_extension(bytes, h->cluster_size, h, &at, &record)) {
        if (record.type == QCOW2_EXT_DATA_FILE && record.length) {
            return text_escape((const char *)bytes + record.payload, record.length);
        }
    }
    return NULL;
}

static void add_data_file_note(const Qcow2Image *image, GPtrArray *notes)
{
    if (qcow2_has_data_file(&image->header)) {
        g_autofree char *name = data_file_name(image);

        g_ptr_array_add(notes, name ? g_strdup_printf("The external data file '%s' was not looked at.", name)
                                    : g_strdup("The external data file was not looked at."));
    }
}

/* What is to be said of the state of the image. It is not among the messages, which are the stock tool's. */
char **qcow2_check_notes(Qcow2Check *c, bool changed)
{
    g_autoptr(GPtrArray) notes = g_ptr_array_new();
    const Qcow2Image *image = c->image;
    Qcow2Location features = header_word(offsetof(Qcow2DiskHeader, incompatible_features));

    if (image->header.incompatible_features & QCOW2_INCOMPAT_DIRTY) {
        add_note(c, notes, &(Qcow2Finding){QCOW2_FINDING_DIRTY, .location = features});
    }
    if (image->header.incompatible_features & QCOW2_INCOMPAT_CORRUPT) {
        add_note(c, notes, &(Qcow2Finding){QCOW2_FINDING_CORRUPT_BIT, .location = features});
    }
    if (image->extensions.stale_bitmaps) {
        add_note(c, notes,
                 &(Qcow2Finding){QCOW2_FINDING_STALE_BITMAPS,
                                 .location = header_word(offsetof(Qcow2DiskHeader, autoclear_features))});
    }
    if (changed) {
        add_note(c, notes,
                 &(Qcow2Finding){QCOW2_FINDING_CHANGED_DURING_CHECK,
                                 .location = qcow2_location_range(IMAGE_CHECK_STRUCTURE_NONE, 0, 0)});
    }
    if (qcow2_walk_skipped(c->walk)) {
        add_note(c, notes,
                 &(Qcow2Finding){QCOW2_FINDING_L2_TABLES_OVERLAPPING,
                                 {qcow2_walk_skipped(c->walk)},
                                 .location = qcow2_location_range(IMAGE_CHECK_STRUCTURE_L2, 0, 0)});
    }
    add_encryption_note(c, notes);
    add_data_file_note(image, notes);
    if (!c->options->backing_checked) {
        add_backing_note(image, notes);
    }
    g_ptr_array_add(notes, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&notes), FALSE);
}

bool qcow2_check_take_findings(Qcow2Check *c, Qcow2FindingRecords **records, GError **errp)
{
    if (!c->collector) {
        return true;
    }
    if (!qcow2_explain_findings(c, errp)) {
        return false;
    }
    *records = qcow2_collector_finish(c->collector);
    return true;
}

/* The verdict stands without the viscera, where they are refused. */
bool qcow2_check_add_viscera(Qcow2Check *c, Qcow2CheckResult *result, GError **errp)
{
    g_autoptr(GError) error = NULL;

    /* they may be large, and the counts are: not both at once */
    qcow2_check_forget_counts(c);
    result->check->viscera = qcow2_viscera(c->image, &c->snapshots, &c->bitmaps, &c->regions, &error);
    if (error && !g_error_matches(error, BLOCK_ERROR, E2BIG)) {
        g_propagate_error(errp, g_steal_pointer(&error));
        return false;
    }
    if (error && c->options->messages) {
        fprintf(c->options->messages, "%s\n", error->message);
    }
    return true;
}

bool qcow2_check_make_result(Qcow2Check *c, Qcow2UnreadableFinder *finder, Qcow2CheckResult *result, GError **errp)
{
    result->check = qcow2_check_verdict(c);
    result->failure = c->report.failure;
    result->notes = qcow2_check_notes(c, false);
    if (finder && !qcow2_add_diagnostics(NULL, finder, c, false, result->check, errp)) {
        return false;
    }
    return !c->options->viscera || qcow2_check_add_viscera(c, result, errp);
}
