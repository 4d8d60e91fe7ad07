/*
 * Walking the trees of an image.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/check/walk.h"

#include <assert.h>
#include <errno.h>

#include "block/io/prefetch.h"
#include "block/limits.h"
#include "block/qcow2/format/format.h"
#include "util/number.h"
#include "util/search.h"

#define MIN_PENDING 16384u /* tables that are sorted at once; of many more, a 16th of those that are sorted already */

/* An L1 entry that has something to report. */
typedef struct ReportableSlot {
    uint64_t offset; /* of the entry in the file */
    uint64_t value;
} ReportableSlot;

struct Qcow2Walk {
    BlockSource *source;
    const Qcow2HeaderFields *header;
    const Qcow2Tables *l1_tables;
    const Qcow2StoredCounts *stored;
    Qcow2Counting *counting;
    BlockReadOptions options;
    uint64_t max_faults;                      /* that are kept in full; 0: any number */
    const Qcow2TableVisitor *const *visitors; /* of the pass under way, ending with NULL; NULL = none */

    GArray *tables;      /* Qcow2TableRef, sorted by offset */
    Qcow2Faults *faults; /* of all tables */
    uint64_t quota;      /* of faults that are kept in full */

    GArray *reportable; /* ReportableSlot, sorted by offset */
    GArray *hidden;     /* int64_t for each noisy slot and one more: by how much more often this one is to be counted,
                           without a message, than the one before; empty = no slot at all */
    Qcow2Statistics statistics;
    uint64_t skipped; /* tables that are not looked at */

    /* Tables that are decoded again: */
    Qcow2TableCounter *again; /* NULL: none was yet */
    uint8_t *again_bytes;
    uint64_t kept_again; /* faults of theirs that are kept */
};

Qcow2Walk *qcow2_walk_new(BlockSource *source, const Qcow2Tables *l1_tables, const Qcow2StoredCounts *stored,
                          Qcow2Counting *counting, const BlockReadOptions *options, uint64_t max_faults)
{
    Qcow2Walk *w = g_new(Qcow2Walk, 1);

    *w = (Qcow2Walk){
        .source = source,
        .header = counting->header,
        .l1_tables = l1_tables,
        .stored = stored,
        .counting = counting,
        .options = *options,
        .max_faults = max_faults,
        .tables = g_array_new(FALSE, FALSE, sizeof(Qcow2TableRef)),
        .faults = qcow2_faults_new(NULL),
        .quota = max_faults,
        .hidden = g_array_new(FALSE, TRUE, sizeof(int64_t)),
        .reportable = g_array_new(FALSE, FALSE, sizeof(ReportableSlot)),
    };
    return w;
}

void qcow2_walk_free(Qcow2Walk *w)
{
    if (w) {
        g_array_free(w->tables, TRUE);
        qcow2_faults_free(w->faults);
        qcow2_table_counter_free(w->again);
        g_free(w->again_bytes);
        g_array_free(w->reportable, TRUE);
        g_array_free(w->hidden, TRUE);
        g_free(w);
    }
}

const Qcow2TableRef *qcow2_walk_tables(const Qcow2Walk *w, size_t *n)
{
    *n = w->tables->len;
    return (const Qcow2TableRef *)(void *)w->tables->data;
}

Qcow2Statistics qcow2_walk_statistics(const Qcow2Walk *w)
{
    return w->statistics;
}

/* ---- which tables there are ---- */

static Qcow2TableRef *table_at(const GArray *tables, size_t i)
{
    return &g_array_index(tables, Qcow2TableRef, i);
}

static int compare_table_refs(const void *a, const void *b)
{
    const Qcow2TableRef *x = a, *y = b;

    return (x->offset > y->offset) - (x->offset < y->offset);
}

/* True where each table lies behind the one before: so it is in images that were written in order. */
static bool in_order(const GArray *tables)
{
    for (size_t i = 1; i < tables->len; i++) {
        if (table_at(tables, i - 1)->offset >= table_at(tables, i)->offset) {
            return false;
        }
    }
    return true;
}

static void add_reference(Qcow2TableRef *to, const Qcow2TableRef *ref)
{
    if (!to->active && ref->active) {
        to->slot = ref->slot;
    }
    to->weight += ref->weight;
    to->active += ref->active;
}

static void merge_equal_tables(GArray *tables)
{
    size_t kept = 0;

    for (size_t i = 0; i < tables->len; i++) {
        Qcow2TableRef ref = *table_at(tables, i);
        Qcow2TableRef *last = kept ? table_at(tables, kept - 1) : NULL;

        if (last && last->offset == ref.offset) {
            add_reference(last, &ref);
        } else {
            *table_at(tables, kept++) = ref;
        }
    }
    g_array_set_size(tables, kept);
}

/* Puts the tables of @b, sorted and without doubles as @a is, among those of @a. */
static void merge_tables(GArray **a, const GArray *b)
{
    GArray *all = g_array_sized_new(FALSE, FALSE, sizeof(Qcow2TableRef), (*a)->len + b->len);
    size_t i = 0, k = 0;

    while (i < (*a)->len || k < b->len) {
        const Qcow2TableRef *x = i < (*a)->len ? table_at(*a, i) : NULL;
        const Qcow2TableRef *y = k < b->len ? table_at(b, k) : NULL;
        Qcow2TableRef ref = !y || (x && x->offset <= y->offset) ? *x : *y;

        if (x && y && x->offset == y->offset) {
            add_reference(&ref, y);
        }
        i += x && x->offset == ref.offset;
        k += y && y->offset == ref.offset;
        g_array_append_val(all, ref);
    }
    g_array_free(*a, TRUE);
    *a = all;
}

/* Empties @pending into the tables of the walk. */
static void take_pending(Qcow2Walk *w, GArray *pending)
{
    if (!in_order(pending)) {
        g_array_sort(pending, compare_table_refs);
        merge_equal_tables(pending);
    }
    if (pending->len) {
        merge_tables(&w->tables, pending);
    }
    g_array_set_size(pending, 0);
}

static void append_tables(Qcow2Walk *w, GArray *refs, const Qcow2TableSpan *span)
{
    for (uint64_t i = 0; span->slots && i < span->n; i++) {
        Qcow2TableRef ref = {
            .offset = span->slots[i] & QCOW2_OFFSET_MASK,
            .slot = span->offset + i * 8,
            .weight = span->weight,
            .active = span->active,
        };

        /* an entry of nothing but flags is walked too: its table is the header cluster (X065) */
        if (span->slots[i]) {
            g_array_append_val(refs, ref);
        }
        if (refs->len >= MAX(MIN_PENDING, w->tables->len / 16)) {
            take_pending(w, refs);
        }
    }
}

/*
 * Snapshots have much the same tables, in much the same order, so they are merged L1 table by L1 table; small ones
 * are put together first. There are never more entries than twice the distinct tables, or so.
 */
static void collect_tables(Qcow2Walk *w)
{
    g_autoptr(GArray) pending = g_array_new(FALSE, FALSE, sizeof(Qcow2TableRef));
    size_t n_spans;
    const Qcow2TableSpan *spans = qcow2_tables_spans(w->l1_tables, &n_spans);

    for (size_t s = 0; s < n_spans; s++) {
        append_tables(w, pending, &spans[s]);
        if (pending->len >= w->tables->len / 16) {
            take_pending(w, pending);
        }
    }
    take_pending(w, pending);
}

/*
 * Skips unaligned tables where too many overlap. No guest reads through one, but the stock tool counts what is in it.
 * So does this check, though not at each 512 bytes of the file: a byte is examined once for an aligned table, and
 * LIMIT_UNALIGNED_L2 times for others. Those that are skipped are corruptions in any case, and a note has their number.
 */
static void find_skipped(Qcow2Walk *w)
{
    uint64_t looked_at[LIMIT_UNALIGNED_L2]; /* the last of them that are not left out */
    size_t n = 0;

    for (size_t i = 0; i < w->tables->len; i++) {
        Qcow2TableRef *table = table_at(w->tables, i);

        if (table->offset % w->header->cluster_size == 0) {
            continue;
        }
        if (n >= LIMIT_UNALIGNED_L2 && table->offset - looked_at[n % LIMIT_UNALIGNED_L2] < w->header->cluster_size) {
            table->skipped = 1;
            w->skipped++;
        } else {
            looked_at[n++ % LIMIT_UNALIGNED_L2] = table->offset;
        }
    }
}

/* ---- reading them ---- */

/* One of the threads that decode tables. */
typedef struct WalkWorker {
    const Qcow2Walk *walk;
    unsigned number; /* of its states with the visitors */
    Qcow2TableCounter *counter;
} WalkWorker;

static BlockRange table_range(const void *opaque, size_t i)
{
    const Qcow2Walk *w = opaque;
    const Qcow2TableRef *table = table_at(w->tables, i);

    /* what is behind the end of the file has nothing in it */
    return (BlockRange){.offset = table->skipped ? w->source->length : table->offset, .size = w->header->cluster_size};
}

static bool let_visit(const WalkWorker *worker, const Qcow2TableRef *table, const uint8_t *bytes)
{
    const Qcow2TableVisitor *const *v = worker->walk->visitors;
    bool ok = true;

    for (; ok && v && *v; v++) {
        ok = (*v)->visit((*v)->states[worker->number], table, bytes, worker->counter->result);
    }
    return ok;
}

static bool count_table(void *state, size_t i, const uint8_t *bytes, int error)
{
    WalkWorker *worker = state;
    const Qcow2TableRef *table = table_at(worker->walk->tables, i);

    if (!qcow2_count_region(worker->walk->counting, table->offset, worker->walk->header->cluster_size, table->weight)) {
        return false;
    }
    if (error) {
        qcow2_faults_add(worker->counter->faults, table->offset,
                         &(Qcow2L2Fault){.kind = QCOW2_FINDING_L2_UNREADABLE, .values = {-error}});
        return true;
    }
    return !bytes || (qcow2_count_table(worker->counter, table, bytes) && let_visit(worker, table, bytes));
}

static bool find_overflows(void *state, size_t i, const uint8_t *bytes, int error)
{
    WalkWorker *worker = state;

    if (bytes && !error) {
        qcow2_find_table_overflows(worker->counter, table_at(worker->walk->tables, i), bytes);
    }
    return true;
}

static bool visit_table(void *state, size_t i, const uint8_t *bytes, int error)
{
    WalkWorker *worker = state;

    if (!bytes || error) {
        return true;
    }
    qcow2_l2_decode(worker->walk->header, bytes, worker->counter->result);
    return let_visit(worker, table_at(worker->walk->tables, i), bytes);
}

/* Takes over what a worker has found. */
static void finish_worker(Qcow2Walk *w, const WalkWorker *worker)
{
    const Qcow2TableCounter *c = worker->counter;

    qcow2_faults_merge(w->faults, c->faults);
    w->statistics.allocated += c->statistics.allocated;
    w->statistics.compressed += c->statistics.compressed;
    w->statistics.fragmented += c->statistics.fragmented;
}

static bool for_each_table(Qcow2Walk *w, bool (*examine)(void *, size_t, const uint8_t *, int), GError **errp)
{
    WalkWorker workers[BLOCK_MAX_WORKERS] = {0};
    unsigned n = block_read_workers(&w->options);
    BlockPrefetch prefetch = {
        .source = w->source,
        .options = w->options,
        .n = w->tables->len,
        .range = table_range,
        .opaque = w,
        .examine = examine,
        .states = workers,
        .state_size = sizeof(workers[0]),
    };
    bool ok = true;

    for (unsigned i = 0; i < n; i++) {
        workers[i] = (WalkWorker){
            .walk = w,
            .number = i,
            .counter = qcow2_table_counter_new(w->stored, w->counting, w->max_faults ? &w->quota : NULL),
        };
        ok = ok && workers[i].counter;
    }
    ok = ok && block_prefetch(&prefetch);
    for (unsigned i = 0; ok && i < n; i++) {
        ok = refmap_writer_flush(workers[i].counter->writer);
    }
    for (unsigned i = 0; i < n; i++) {
        if (ok) {
            finish_worker(w, &workers[i]);
        }
        qcow2_table_counter_free(workers[i].counter);
    }
    if (!ok) {
        g_set_error_literal(errp, BLOCK_ERROR, ENOMEM, "No memory for counting references");
    }
    return ok;
}

bool qcow2_walk_count(Qcow2Walk *w, const Qcow2TableVisitor *const *visitors, GError **errp)
{
    bool ok;

    collect_tables(w);
    find_skipped(w);
    w->visitors = visitors;
    ok = for_each_table(w, count_table, errp);
    w->visitors = NULL;
    return ok;
}

bool qcow2_walk_visit(Qcow2Walk *w, const Qcow2TableVisitor *visitor, GError **errp)
{
    bool ok;

    w->visitors = (const Qcow2TableVisitor *[]){visitor, NULL};
    ok = for_each_table(w, visit_table, errp);
    w->visitors = NULL;
    return ok;
}

bool qcow2_walk_any_fault(const Qcow2Walk *w)
{
    return w->reportable->len || !qcow2_faults_empty(w->faults);
}

int qcow2_walk_table_error(const Qcow2Walk *w, uint64_t offset)
{
    const Qcow2TableFaults *f = qcow2_faults_of(w->faults, offset);

    for (guint i = 0; f && i < f->faults->len; i++) {
        const Qcow2L2Fault *fault = &g_array_index(f->faults, Qcow2L2Fault, i);

        if (fault->kind == QCOW2_FINDING_L2_UNREADABLE) {
            return fault->values[0];
        }
    }
    return 0;
}

/* ---- reporting ---- */

static bool slot_reportable(const Qcow2Walk *w, uint64_t value)
{
    uint64_t table = value & QCOW2_OFFSET_MASK;
    const Qcow2TableFaults *f = qcow2_faults_of(w->faults, table);

    return (value & QCOW2_L1_RESERVED) || table % w->header->cluster_size ||
           qcow2_region_reportable(w->counting, table, w->header->cluster_size) || (f && (f->faults->len || f->more));
}

static void collect_reportable_slots(Qcow2Walk *w)
{
    size_t n_spans;
    const Qcow2TableSpan *spans = qcow2_tables_spans(w->l1_tables, &n_spans);

    for (size_t s = 0; s < n_spans; s++) {
        for (uint64_t i = 0; spans[s].slots && i < spans[s].n; i++) {
            ReportableSlot slot = {.offset = spans[s].offset + i * 8, .value = spans[s].slots[i]};

            if (slot.value && slot_reportable(w, slot.value)) {
                g_array_append_val(w->reportable, slot);
            }
        }
    }
}

bool qcow2_walk_finish(Qcow2Walk *w, GError **errp)
{
    if (w->counting->overflowed && !qcow2_has_data_file(w->header) && !for_each_table(w, find_overflows, errp)) {
        return false;
    }
    if (w->max_faults && w->quota == 0) {
        /* which faults the threads have kept in full is chance, and must not show */
        qcow2_faults_make_numbers(w->faults);
    }
    collect_reportable_slots(w);
    return true;
}

/* False when memory is short. */
static bool ready_to_decode_again(Qcow2Walk *w)
{
    if (!w->again_bytes) {
        w->again_bytes = g_try_malloc(w->header->cluster_size);
    }
    if (!w->again) {
        w->again = qcow2_table_counter_new(w->stored, w->counting, NULL);
    }
    return w->again_bytes && w->again;
}

/* Finds all faults of the table at @offset once more. Where that fails their numbers are still known. */
static void decode_again(Qcow2Walk *w, uint64_t offset)
{
    size_t i = ARRAY_FIRST_NOT_BELOW(w->tables, Qcow2TableRef, offset, offset);

    assert(i < w->tables->len && table_at(w->tables, i)->offset == offset);
    if (w->kept_again >= w->max_faults) {
        qcow2_faults_make_numbers(w->faults);
        w->kept_again = 0;
    }
    if (ready_to_decode_again(w) &&
        block_source_read(w->source, w->again_bytes, w->header->cluster_size, offset) == 0) {
        qcow2_find_table_faults(w->again, table_at(w->tables, i), w->again_bytes);
        w->kept_again += qcow2_faults_replace(w->faults, offset, w->again->faults);
    }
}

/* The faults of the table at @offset for @report, in full if they may still be reported; NULL where there are none. */
static const Qcow2TableFaults *faults_for_report(Qcow2Walk *w, uint64_t offset, const Qcow2Report *report)
{
    const Qcow2TableFaults *f = qcow2_faults_of(w->faults, offset);

    if (f && qcow2_faults_incomplete(f) && !qcow2_report_full(report)) {
        decode_again(w, offset);
        f = qcow2_faults_of(w->faults, offset);
    }
    return f;
}

/* A L1 entry that is looked at: where it is, and in which tree. */
typedef struct TreeSlot {
    Qcow2Location location;
    uint64_t index; /* in its L1 table */
    uint64_t value;
} TreeSlot;

static TreeSlot tree_slot(const Qcow2Walk *w, const Qcow2Location *l1_table, uint64_t offset, uint64_t value)
{
    uint64_t index = (offset - l1_table->cluster_offset) / 8;

    return (TreeSlot){
        .location = qcow2_location_l1_entry(w->header, l1_table->snapshot, offset, index, value),
        .index = index,
        .value = value,
    };
}

/* The range of the file that @f is about, as far as it is in this file. */
static void set_fault_range(const Qcow2Walk *w, const Qcow2L2Fault *f, Qcow2Location *location)
{
    Qcow2Extent extent = {.offset = f->values[0], .length = f->values[1]};

    switch (f->kind) {
    case QCOW2_FINDING_L2_RESERVED_BITS:
    case QCOW2_FINDING_L2_COPIED_WRONG:
        extent.offset &= QCOW2_OFFSET_MASK;
        extent.length = extent.offset ? w->header->cluster_size : 0;
        break;
    case QCOW2_FINDING_COMPRESSED_WITH_SUBCLUSTERS:
        extent = qcow2_l2_compressed_extent(w->header, f->values[1], f->index);
        break;
    default:
        break;
    }
    if (!qcow2_has_data_file(w->header)) {
        location->cluster_offset = extent.offset;
        location->cluster_size = extent.length;
    }
}

static Qcow2Location fault_location(const Qcow2Walk *w, const TreeSlot *slot, const Qcow2L2Fault *f)
{
    Qcow2Location location;

    if (f->kind == QCOW2_FINDING_L2_UNREADABLE) {
        location = slot->location;
        location.structure = IMAGE_CHECK_STRUCTURE_L2;
        return location;
    }
    location = qcow2_location_l2_entry(w->header, &slot->location, slot->index, f->index);
    set_fault_range(w, f, &location);
    if (f->kind == QCOW2_FINDING_L2_COPIED_WRONG) {
        location.has_refcount = true;
        location.refcount = f->values[1];
    }
    return location;
}

static void report_fault(Qcow2Walk *w, const TreeSlot *slot, const Qcow2L2Fault *f, Qcow2Report *report)
{
    Qcow2Location location = fault_location(w, slot, f);

    switch (f->kind) {
    case QCOW2_FINDING_REFCOUNT_OVERFLOW:
        qcow2_report_region(w->counting, &location, report);
        return;
    case QCOW2_FINDING_L2_UNREADABLE:
        qcow2_report_failure(report, f->values[0]);
        break;
    default:
        break;
    }
    qcow2_report(report, &(Qcow2Finding){f->kind, {f->values[0], f->values[1]}, .location = location});
}

/* Overflows are counted together in the end: qcow2_report_overflows(). */
static void count_unreported(ImageCheckFindingKind kind, uint64_t n, Qcow2Report *report)
{
    if (kind != QCOW2_FINDING_REFCOUNT_OVERFLOW) {
        qcow2_count_unreported(report, kind, n);
    }
}

static void count_more_faults(const Qcow2TableFaults *f, uint64_t weight, Qcow2Report *report)
{
    for (guint i = 0; f && f->more && i < f->more->len; i++) {
        const Qcow2MoreFaults *more = &g_array_index(f->more, Qcow2MoreFaults, i);

        count_unreported(more->kind, more->n * weight, report);
    }
}

static void report_slot(Qcow2Walk *w, const TreeSlot *slot, Qcow2Report *report)
{
    uint64_t table = slot->location.cluster_offset;
    const Qcow2TableFaults *f = faults_for_report(w, table, report);

    report->examined++;
    if (slot->value & QCOW2_L1_RESERVED) {
        qcow2_report(report,
                     &(Qcow2Finding){QCOW2_FINDING_L1_RESERVED_BITS, {slot->value}, .location = slot->location});
    }
    qcow2_report_region(w->counting, &slot->location, report);
    if (table % w->header->cluster_size) {
        qcow2_report(report, &(Qcow2Finding){QCOW2_FINDING_L2_TABLE_UNALIGNED, {table}, .location = slot->location});
    }
    for (size_t i = 0; f && i < f->faults->len; i++) {
        report_fault(w, slot, &g_array_index(f->faults, Qcow2L2Fault, i), report);
    }
    count_more_faults(f, 1, report);
    if (report->repairing) {
        /* repaired, they are gone where the table is referred to again */
        qcow2_faults_forget(w->faults, table, report->repairing);
    }
}

/* The index of the first noisy slot at or behind @offset of the file. */
static size_t find_reportable(const Qcow2Walk *w, uint64_t offset)
{
    return ARRAY_FIRST_NOT_BELOW(w->reportable, ReportableSlot, offset, offset);
}

/* Reports that entries [@first, @first + @n) of the L1 table that @referrer refers to cannot be read. */
static void report_unread_l1(const Qcow2Walk *w, const Qcow2Location *referrer, uint64_t first, uint64_t n, int error,
                             Qcow2Report *report)
{
    unsigned reach = w->header->l2_bits + w->header->cluster_bits; /* log2 of the guest bytes behind an entry */
    uint64_t guest = first << reach, size = n << reach;
    Qcow2Location location = *referrer;

    location.structure = IMAGE_CHECK_STRUCTURE_L1;
    location.cluster_offset += first * 8;
    location.cluster_size = n * 8;
    /* what a snapshot has behind the end of the disk is no guest data, or that of a larger disk */
    qcow2_location_set_guest(&location, w->header, guest,
                             guest < w->header->size ? MIN(size, w->header->size - guest) : size);
    qcow2_report(report, &(Qcow2Finding){QCOW2_FINDING_L1_UNREADABLE, .location = location});
    qcow2_report_failure(report, -error);
}

/* Reports what of the L1 table that @referrer refers to cannot be read. False where there is nothing else. */
static bool report_unread_parts(const Qcow2Walk *w, const Qcow2Location *referrer, uint64_t *end, Qcow2Report *report)
{
    uint64_t entries = referrer->cluster_size / 8;
    uint64_t first = 0, n;
    int error;

    if (!add_u64(referrer->cluster_offset, referrer->cluster_size, end) || *end > BLOCK_SOURCE_MAX_LENGTH) {
        report_unread_l1(w, referrer, 0, entries, -EIO, report);
        return false;
    }
    while ((n = qcow2_tables_unread_part(w->l1_tables, referrer->cluster_offset, entries, &first, &error))) {
        report_unread_l1(w, referrer, first, n, error, report);
        first += n;
    }
    return true;
}

/* Leaves the noisy slots [@first, @last) to qcow2_walk_count_unreported(). */
static void hide_slots(Qcow2Walk *w, size_t first, size_t last)
{
    if (first < last) {
        g_array_set_size(w->hidden, w->reportable->len + 1);
        g_array_index(w->hidden, int64_t, first)++;
        g_array_index(w->hidden, int64_t, last)--;
    }
}

void qcow2_walk_report_tree(Qcow2Walk *w, const Qcow2Location *referrer, Qcow2Report *report)
{
    size_t i, last;
    uint64_t end;

    if (!referrer->cluster_size) {
        return;
    }
    qcow2_report_region(w->counting, referrer, report);
    if (!report_unread_parts(w, referrer, &end, report)) {
        return;
    }
    last = find_reportable(w, end);
    for (i = find_reportable(w, referrer->cluster_offset); i < last && !qcow2_report_full(report); i++) {
        const ReportableSlot *reportable = &g_array_index(w->reportable, ReportableSlot, i);
        TreeSlot slot = tree_slot(w, referrer, reportable->offset, reportable->value);

        report_slot(w, &slot, report);
    }
    hide_slots(w, i, last);
}

/* Counts @weight references to the table at @offset without a message, but for overflows. */
static void count_unreported_table(Qcow2Walk *w, uint64_t table, uint64_t weight, Qcow2Report *report)
{
    const Qcow2TableFaults *f = qcow2_faults_of(w->faults, table);

    for (size_t i = 0; f && i < f->faults->len; i++) {
        const Qcow2L2Fault *fault = &g_array_index(f->faults, Qcow2L2Fault, i);

        if (fault->kind == QCOW2_FINDING_L2_UNREADABLE) {
            qcow2_report_failure(report, fault->values[0]);
        }
        count_unreported(fault->kind, weight, report);
    }
    count_more_faults(f, weight, report);
}

static void count_unreported_slot(Qcow2Walk *w, uint64_t value, uint64_t weight, Qcow2Report *report)
{
    uint64_t table = value & QCOW2_OFFSET_MASK;

    if (value & QCOW2_L1_RESERVED) {
        qcow2_count_unreported(report, QCOW2_FINDING_L1_RESERVED_BITS, weight);
    }
    if (qcow2_region_beyond_end(w->counting, table, w->header->cluster_size)) {
        qcow2_count_unreported(report, QCOW2_FINDING_REGION_BEYOND_END, weight);
    }
    if (table % w->header->cluster_size) {
        qcow2_count_unreported(report, QCOW2_FINDING_L2_TABLE_UNALIGNED, weight);
    }
}

/* Each noisy slot is looked at once, and each table that they refer to, however many trees have them. */
void qcow2_walk_count_unreported(Qcow2Walk *w, Qcow2Report *report)
{
    g_autoptr(GArray) refs = g_array_new(FALSE, FALSE, sizeof(Qcow2TableRef));
    int64_t weight = 0;

    for (size_t i = 0; i < w->reportable->len && w->hidden->len; i++) {
        uint64_t value = g_array_index(w->reportable, ReportableSlot, i).value;

        weight += g_array_index(w->hidden, int64_t, i);
        if (weight) {
            Qcow2TableRef ref = {.offset = value & QCOW2_OFFSET_MASK, .weight = weight};

            count_unreported_slot(w, value, weight, report);
            g_array_append_val(refs, ref);
        }
    }
    g_array_sort(refs, compare_table_refs);
    merge_equal_tables(refs);
    for (size_t i = 0; i < refs->len; i++) {
        count_unreported_table(w, table_at(refs, i)->offset, table_at(refs, i)->weight, report);
    }
    g_array_set_size(w->hidden, 0);
}

uint64_t qcow2_walk_skipped(const Qcow2Walk *w)
{
    return w->skipped;
}

static void report_l1_copied(const TreeSlot *slot, uint64_t count, Qcow2Report *report)
{
    Qcow2Finding finding = {
        QCOW2_FINDING_L1_COPIED_WRONG, {slot->index, slot->value, count}, .location = slot->location};

    finding.location.has_refcount = true;
    finding.location.refcount = count;
    qcow2_report(report, &finding);
}

/* Returns how many of the entries were reported before the report was full. */
static uint32_t report_copied_fault(Qcow2Walk *w, const TreeSlot *slot, const Qcow2CopiedFault *f, Qcow2Report *report)
{
    uint32_t i;

    for (i = 0; i < f->n && !qcow2_report_full(report); i++) {
        uint64_t entry = f->entry + ((uint64_t)i << w->header->cluster_bits);

        report_fault(w, slot, &(Qcow2L2Fault){f->index + i, QCOW2_FINDING_L2_COPIED_WRONG, {entry, f->count}}, report);
    }
    return i;
}

static void report_copied_faults(Qcow2Walk *w, const TreeSlot *slot, const Qcow2TableFaults *f, Qcow2Report *report)
{
    uint64_t hidden = f->more_copied;

    for (guint i = 0; i < f->copied->len; i++) {
        const Qcow2CopiedFault *fault = &g_array_index(f->copied, Qcow2CopiedFault, i);

        hidden += fault->n - report_copied_fault(w, slot, fault, report);
    }
    qcow2_count_unreported(report, QCOW2_FINDING_L2_COPIED_WRONG, hidden);
}

static void report_copied_slot(Qcow2Walk *w, const TreeSlot *slot, Qcow2Report *report)
{
    uint64_t table = slot->location.cluster_offset;
    const Qcow2TableFaults *f;
    uint64_t count;

    if (!table || !qcow2_stored_count(w->stored, table >> w->header->cluster_bits, &count)) {
        return;
    }
    if ((count == 1) != !!(slot->value & QCOW2_OFLAG_COPIED)) {
        report_l1_copied(slot, count, report);
    }
    f = faults_for_report(w, table, report);
    if (f) {
        report_copied_faults(w, slot, f, report);
    }
}

void qcow2_walk_report_copied(Qcow2Walk *w, uint64_t offset, uint64_t entries, Qcow2Report *report)
{
    Qcow2Location l1_table = qcow2_location_range(IMAGE_CHECK_STRUCTURE_L1, offset, entries * 8);
    uint64_t first = 0, n;
    const uint64_t *slots;

    while ((n = qcow2_tables_part(w->l1_tables, offset, entries, &first, &slots))) {
        for (uint64_t i = 0; i < n; i++) {
            TreeSlot slot = tree_slot(w, &l1_table, offset + (first + i) * 8, slots[i]);

            report_copied_slot(w, &slot, report);
        }
        first += n;
    }
}
