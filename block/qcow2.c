/*
 * The qcow2 driver: opening an image for a check, and checking it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "block/limits.h"
#include "block/qcow2/check/check.h"
#include "block/qcow2/check/compare.h"
#include "block/qcow2/inspect/explain.h"
#include "block/qcow2/inspect/summary.h"
#include "block/qcow2/format/format.h"
#include "block/qcow2/inspect/diagnostics.h"
#include "block/qcow2/inspect/mappings.h"
#include "block/qcow2/inspect/lookup.h"
#include "block/qcow2/check/memory.h"
#include "block/qcow2/check/refblocks.h"
#include "block/qcow2/inspect/roles.h"
#include "block/qcow2/inspect/space.h"
#include "block/qcow2/inspect/viscera.h"
#include "block/qcow2/check/change-detector.h"
#include "util/number.h"

#define HEADER_READ_AHEAD 4096 /* bytes; header and extensions of nearly every image */

bool qcow2_probe(const void *bytes, size_t size)
{
    return size >= 8 && load_be32(bytes) == QCOW2_MAGIC && load_be32((const uint8_t *)bytes + 4) >= 2;
}

/* ---- opening ---- */

static bool refuse(GError **errp, int error, const char *text)
{
    g_set_error(errp, BLOCK_ERROR, error, "%s", text);
    return false;
}

/* The first bytes of an image. */
typedef struct HeaderBytes {
    uint8_t *bytes;
    size_t size; /* how many could be read */
    int error;   /* why the next one could not, a positive errno value; 0 = all that were asked for are there */
} HeaderBytes;

static void header_bytes_clear(HeaderBytes *start)
{
    g_clear_pointer(&start->bytes, g_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(HeaderBytes, header_bytes_clear)

/* Reads @size bytes, zeros behind the end of the file. False where there is not even the header itself. */
static bool read_header_bytes(BlockSource *source, size_t size, HeaderBytes *start)
{
    int error;

    g_free(start->bytes);
    *start = (HeaderBytes){.bytes = g_malloc(size), .size = size};
    error = block_source_read(source, start->bytes, size, 0);
    if (error) {
        start->error = -error;
        start->size = 0;
        while (start->size < size &&
               !block_source_read(source, start->bytes + start->size, QCOW2_SECTOR_SIZE, start->size)) {
            start->size += QCOW2_SECTOR_SIZE;
        }
        start->error = start->size < size ? -error : 0;
    }
    return start->size > 0;
}

static void warn_of_stale_bitmaps(const Qcow2Image *image, FILE *warn)
{
    if (!image->extensions.stale_bitmaps || !warn) {
        return;
    }
    /* no line end at the end: so has it the stock tool (X155), and scripts compare */
    fprintf(
        warn,
        "%s: warning: %s\n"
        "Some clusters may be leaked, run 'qemu-img check -r' on the image file to fix.",
        g_get_prgname() ? g_get_prgname() : "qemu-img",
        image->header.version < 3
            ? "This qcow2 v2 image contains bitmaps, but they may have been modified by a program without persistent "
              "bitmap support; so now they must all be considered inconsistent"
            : "a program lacking bitmap support modified this file, so all bitmaps are now considered inconsistent");
}

static bool refuse_unread(const HeaderBytes *start, GError **errp)
{
    g_set_error(errp, BLOCK_ERROR, start->error, "Could not read qcow2 header: %s", g_strerror(start->error));
    return false;
}

static bool read_extensions(Qcow2Image *image, HeaderBytes *start, GError **errp)
{
    const Qcow2HeaderFields *h = &image->header;
    Qcow2Extensions *e = &image->extensions;
    bool more;

    if (!qcow2_parse_extensions(start->bytes, start->size, h, e, &more, errp)) {
        return false;
    }
    if (more && !start->error && start->size < h->cluster_size) {
        if (!read_header_bytes(image->source, h->cluster_size, start)) {
            return refuse_unread(start, errp);
        }
        if (!qcow2_parse_extensions(start->bytes, start->size, h, e, &more, errp)) {
            return false;
        }
    }
    if (more && start->error) {
        image->header_unread_from = start->size;
        image->header_error = start->error;
    }
    return true;
}

static bool read_header(Qcow2Image *image, HeaderBytes *start, GError **errp)
{
    g_autoptr(GError) error = NULL;

    if (!read_header_bytes(image->source, HEADER_READ_AHEAD, start)) {
        return refuse_unread(start, errp);
    }
    if (qcow2_parse_header(start->bytes, start->size, &image->header, &error)) {
        return true;
    }
    /* names of unknown features may lie behind what was read */
    if (image->header.cluster_size > start->size && !start->error &&
        read_header_bytes(image->source, image->header.cluster_size, start)) {
        return qcow2_parse_header(start->bytes, start->size, &image->header, errp);
    }
    g_propagate_error(errp, g_steal_pointer(&error));
    return false;
}

static bool read_refcount_table(Qcow2Image *image, GError **errp)
{
    int error = qcow2_read_refcount_table(image->source, &image->header, &image->refcount_table);

    if (error) {
        g_set_error(errp, BLOCK_ERROR, -error, "Could not initialize refcount handling: %s", g_strerror(-error));
        return false;
    }
    return true;
}

/* Spec check-behaviour 2.2, tests 21 to 23. */
static bool check_l1_and_crypt(const Qcow2HeaderFields *h, GError **errp)
{
    if (h->l1_table_offset + UINT64_C(8) * h->l1_size > BLOCK_SOURCE_MAX_LENGTH) {
        return refuse(errp, EIO, "Could not read L1 table: Input/output error");
    }
    if (h->crypt_method > QCOW2_CRYPT_LUKS) {
        g_set_error(errp, BLOCK_ERROR, EINVAL, "Unsupported encryption method %" PRId32, (int32_t)h->crypt_method);
        return false;
    }
    return true;
}

/* Tests 25 to 30, as far as they are about the image itself. */
static bool check_rest(const Qcow2Image *image, GError **errp)
{
    const Qcow2HeaderFields *h = &image->header;
    const Qcow2Extensions *e = &image->extensions;

    if ((h->autoclear_features & QCOW2_AUTOCLEAR_DATA_FILE_RAW) && !qcow2_has_data_file(h)) {
        return refuse(errp, EINVAL, "data-file-raw requires a data file");
    }
    if (h->crypt_method == QCOW2_CRYPT_LUKS && !e->has_crypt_header && !image->header_unread_from) {
        return refuse(errp, EINVAL, "Missing CRYPTO header for crypt method 2");
    }
    if (h->backing_file_offset &&
        h->backing_file_size > MIN(QCOW2_MAX_BACKING_NAME, h->cluster_size - h->backing_file_offset)) {
        return refuse(errp, EINVAL, "Backing file name too long");
    }
    if (h->size > INT64_MAX) {
        return refuse(errp, EFBIG, "Could not refresh total sector count: File too large");
    }
    return true;
}

Qcow2Image *qcow2_open(BlockSource *source, FILE *warn, GError **errp)
{
    g_autoptr(Qcow2Image) image = g_new0(Qcow2Image, 1);
    g_auto(HeaderBytes) start = {0};

    image->source = source;
    image->opened = block_source_state(source);
    if (!read_header(image, &start, errp) || !check_l1_and_crypt(&image->header, errp) ||
        !read_refcount_table(image, errp) || !read_extensions(image, &start, errp)) {
        return NULL;
    }
    warn_of_stale_bitmaps(image, warn);
    if (!check_rest(image, errp)) {
        return NULL;
    }
    return g_steal_pointer(&image);
}

void qcow2_close(Qcow2Image *image)
{
    if (image) {
        qcow2_refcount_table_clear(&image->refcount_table);
        g_free(image);
    }
}

/* ---- checking ---- */

void qcow2_check_forget_counts(Qcow2Check *c)
{
    g_clear_pointer(&c->walk, qcow2_walk_free);
    g_clear_pointer(&c->stored, qcow2_stored_counts_free);
    qcow2_counting_clear(&c->counting);
}

void qcow2_check_clear(Qcow2Check *c)
{
    qcow2_check_forget_counts(c);
    g_clear_pointer(&c->collector, qcow2_collector_free);
    qcow2_regions_clear(&c->regions);
    qcow2_bitmap_directory_clear(&c->bitmaps);
    qcow2_snapshots_clear(&c->snapshots);
}

void qcow2_check_enter_phase(const Qcow2Check *c, CheckPhase phase)
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
            return refuse(errp, ENOMEM, "No memory for the bitmap directory");
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

static bool count_references(Qcow2Check *c, const Qcow2TableVisitor *visitor, GError **errp)
{
    const Qcow2HeaderFields *h = &c->image->header;
    BlockReadOptions read = read_options(c);

    qcow2_check_enter_phase(c, CHECK_PHASE_TABLES);
    qcow2_counting_init(&c->counting, h, c->image->source->length);
    c->walk = qcow2_walk_new(c->image->source, c->regions.l1_tables, c->stored, &c->counting, &read,
                             c->options->max_messages);
    if (!qcow2_regions_count(&c->regions, &c->counting, errp) || !qcow2_walk_count(c->walk, visitor, errp)) {
        return false;
    }
    qcow2_counting_finish(&c->counting);
    return qcow2_walk_finish(c->walk, errp);
}

/* What was not read for the loss of the server must not look like what was read and found wrong. */
bool qcow2_check_source_there(const Qcow2Check *c, GError **errp)
{
    return !g_atomic_int_get(&c->image->source->lost) || refuse(errp, EIO, "the image cannot be read any more");
}

static bool load_stored_counts(Qcow2Check *c, GError **errp)
{
    Qcow2Image *image = c->image;
    uint64_t failed = image->source->failed_reads;
    BlockReadOptions read = read_options(c);

    qcow2_check_enter_phase(c, CHECK_PHASE_REFCOUNTS);
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
                                 .repairing = options->repairing}};
    if (!qcow2_memory_suffices(image, errp)) {
        return false;
    }
    if (options->findings || options->corruptions) {
        c->collector = c->report.collector = qcow2_collector_new(LIMIT_FINDINGS, !options->findings);
    }
    qcow2_read_snapshots(image->source, &image->header, &c->snapshots, &c->report);
    return read_bitmaps(c, errp);
}

bool qcow2_check_count(Qcow2Check *c, Qcow2Image *image, const Qcow2CheckOptions *options,
                       const Qcow2TableVisitor *visitor, GError **errp)
{
    return begin(c, image, options, errp) && load_stored_counts(c, errp) && list_regions(c, errp) &&
           count_references(c, visitor, errp) && qcow2_check_source_there(c, errp);
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

void qcow2_check_report_regions(Qcow2Check *c)
{
    qcow2_check_enter_phase(c, CHECK_PHASE_COMPARING);
    qcow2_regions_report(&c->regions, &c->counting, c->walk, &c->report);
    report_unread_header(c);
}

bool qcow2_check_report_structures(Qcow2Check *c, GError **errp)
{
    qcow2_check_report_regions(c);
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
    qcow2_walk_report_copied(c->walk, h->l1_table_offset, h->l1_size, &c->report);
    qcow2_report_summary(&c->report);
    return true;
}

static ImageCheck *image_check(const Qcow2Check *c)
{
    const Qcow2HeaderFields *h = &c->image->header;
    Qcow2Statistics statistics = qcow2_walk_statistics(c->walk);
    ImageCheck *check = g_new0(ImageCheck, 1);

    check->check_errors = c->report.check_errors;
    check->image_end_offset = c->used_end << h->cluster_bits;
    check->corruptions = c->report.corruptions;
    check->leaks = c->report.leaks;
    check->total_clusters = DIV_ROUND_UP(h->size / QCOW2_SECTOR_SIZE * QCOW2_SECTOR_SIZE, h->cluster_size);
    check->allocated_clusters = statistics.allocated;
    check->fragmented_clusters = statistics.fragmented;
    check->compressed_clusters = statistics.compressed;
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

/* What is to be said of the state of the image. It is not among the messages, which are the stock tool's. */
static char **state_notes(Qcow2Check *c, bool changed)
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
                 &(Qcow2Finding){QCOW2_FINDING_L2_TABLES_CROWDED,
                                 {qcow2_walk_skipped(c->walk)},
                                 .location = qcow2_location_range(IMAGE_CHECK_STRUCTURE_L2, 0, 0)});
    }
    g_ptr_array_add(notes, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&notes), FALSE);
}

bool qcow2_check_take_findings(Qcow2Check *c, ImageCheckFindingList *findings, GError **errp)
{
    return !c->collector || (qcow2_explain_findings(c, errp) && qcow2_collector_finish(c->collector, findings, errp));
}

static bool add_findings(Qcow2Check *c, Qcow2Diagnostics *diagnostics, Qcow2CheckResult *result, GError **errp)
{
    if (!c->collector) {
        return true;
    }
    result->check->has_findings = true; /* what is not said to be there is not freed */
    if (diagnostics) {
        qcow2_add_diagnostics(diagnostics, c);
        if (!qcow2_explain_findings(c, errp)) {
            return false;
        }
    }
    return qcow2_collector_finish(c->collector, &result->check->findings, errp);
}

/* The verdict stands without the viscera, where they are refused. */
static bool add_viscera(Qcow2Check *c, Qcow2CheckResult *result, GError **errp)
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

static bool add_space(Qcow2Roles *roles, Qcow2Space *space, Qcow2CheckResult *result, GError **errp)
{
    result->roles = roles ? qcow2_roles_finish(roles, errp) : NULL;
    if (result->roles && space) {
        result->check->space = qcow2_space_finish(space, result->roles, errp);
    }
    return (!roles || result->roles) && (!space || result->check->space);
}

static void layout_free(Qcow2Layout *layout)
{
    qapi_clear_Qcow2Summary(&layout->facts);
    mappings_clear(&layout->mappings);
    g_free(layout);
}

static Qcow2Layout *layout_new(const Qcow2Image *image, Qcow2MappingCollector *mappings, GError **errp)
{
    Qcow2Layout *layout = g_new0(Qcow2Layout, 1);

    if (!qcow2_mapping_collector_finish(mappings, &layout->mappings, errp)) {
        layout_free(layout);
        return NULL;
    }
    if (!qcow2_summary(image, &layout->facts)) {
        layout_free(layout);
        refuse(errp, ENOMEM, "No memory for the facts of the image");
        return NULL;
    }
    return layout;
}

bool qcow2_check_make_result(Qcow2Check *c, Qcow2CheckResult *result, GError **errp)
{
    result->check = image_check(c);
    result->failure = c->report.failure;
    result->notes = state_notes(c, false);
    return !c->options->viscera || add_viscera(c, result, errp);
}

/* The verdict stands without an answer. */
static bool add_explanation(Qcow2Check *c, Qcow2CheckResult *result, GError **errp)
{
    const Qcow2Question *q = c->options->question;
    g_autoptr(ImageCheckExplanation) answer = g_new0(ImageCheckExplanation, 1);
    GError *error = NULL;

    if (q->guest) {
        answer->guest = qcow2_lookup_guest(c, q->offset, q->snapshot, &error);
    } else {
        answer->host = qcow2_lookup_host(c, q->offset, result->roles, &result->check->findings, &error);
    }
    if (g_error_matches(error, BLOCK_ERROR, ENOENT)) {
        result->no_answer = error;
    } else if (error) {
        g_propagate_error(errp, error);
        return false;
    } else {
        result->check->explanation = g_steal_pointer(&answer);
    }
    return true;
}

bool qcow2_check(Qcow2Image *image, const Qcow2CheckOptions *options, Qcow2CheckResult *result, GError **errp)
{
    g_auto(Qcow2Check) c = {0};
    g_auto(Qcow2ChangeDetector) watch = {0};
    bool wants_roles = options->roles || options->space || options->question;
    g_autoptr(Qcow2Roles) roles = wants_roles ? qcow2_roles_new(&c, image) : NULL;
    g_autoptr(Qcow2Space) space =
        options->space ? qcow2_space_new(&c, roles, image->source, options->workers > 1) : NULL;
    const Qcow2TableVisitor *visitor = space ? qcow2_space_visitor(space) : roles ? qcow2_roles_visitor(roles) : NULL;
    g_autoptr(Qcow2Diagnostics) diagnostics = options->findings ? qcow2_diagnostics_new(image, visitor) : NULL;
    g_autoptr(Qcow2MappingCollector) mappings = NULL;

    *result = (Qcow2CheckResult){0};
    if (options->detect_changes) {
        qcow2_change_detector_begin(&watch, image);
    }
    visitor = diagnostics ? qcow2_diagnostics_visitor(diagnostics) : visitor;
    if (options->layout) {
        mappings = qcow2_mapping_collector_new(&image->header, &c.regions, options->workers, visitor);
        visitor = qcow2_mapping_collector_visitor(mappings);
    }
    if (!qcow2_check_count(&c, image, options, visitor, errp) || !qcow2_check_report(&c, errp)) {
        return false;
    }
    if (options->reported &&
        !options->reported(options->opaque, image, !c.report.corruptions && !c.report.check_errors && !c.report.failure,
                           errp)) {
        return false;
    }
    result->check = image_check(&c);
    result->failure = c.report.failure;
    result->changed = options->detect_changes && qcow2_change_detector_changed(&watch);
    result->notes = state_notes(&c, result->changed);
    return add_findings(&c, diagnostics, result, errp) && add_space(roles, space, result, errp) &&
           (!options->question || add_explanation(&c, result, errp)) &&
           (!mappings || (result->layout = layout_new(image, mappings, errp))) &&
           (!options->viscera || add_viscera(&c, result, errp));
}

void qcow2_check_result_clear(Qcow2CheckResult *result)
{
    g_clear_pointer(&result->check, qapi_free_ImageCheck);
    g_clear_error(&result->not_repaired);
    g_clear_error(&result->no_answer);
    g_clear_pointer(&result->roles, cluster_roles_free);
    g_clear_pointer(&result->layout, layout_free);
    g_clear_pointer(&result->notes, g_strfreev);
}
