/*
 * Walking the trees of an image.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2-walk.h"

#include <errno.h>

#include "block/qcow2-format.h"
#include "block/qcow2-l2.h"
#include "util/number.h"

#define BATCH_BYTES (1u << 20) /* neighbouring L2 tables are read together up to this size */

/* A distinct L2 table. */
typedef struct TableRef {
    uint64_t offset;
    uint64_t weight; /* references from all L1 tables */
    uint64_t active; /* references from the active one */
} TableRef;

/* What is to be reported each time that a table is referenced. */
typedef struct TableFaults {
    GArray *faults; /* Qcow2L2Fault, in stock order */
    GArray *copied; /* Qcow2L2Fault: wrong COPIED flags, reported for references from the active L1 table only */
} TableFaults;

/* An L1 entry that has something to report. */
typedef struct NoisySlot {
    uint64_t offset; /* of the entry in the file */
    uint64_t value;
} NoisySlot;

struct Qcow2Walk {
    BlockSource *source;
    const Qcow2HeaderFields *header;
    const Qcow2Tables *l1_tables;
    const Qcow2StoredCounts *stored;
    Qcow2Counting *counting;

    GArray *tables;        /* TableRef, sorted by offset */
    GHashTable *faults;    /* offset of an L2 table to TableFaults; only those that have any */
    GArray *noisy;         /* NoisySlot, sorted by offset */
    Qcow2L2Result *result; /* of the table being decoded */
    Qcow2Statistics statistics;
};

static void free_table_faults(gpointer opaque)
{
    TableFaults *f = opaque;

    g_array_free(f->faults, TRUE);
    g_array_free(f->copied, TRUE);
    g_free(f);
}

Qcow2Walk *qcow2_walk_new(BlockSource *source, const Qcow2Tables *l1_tables, const Qcow2StoredCounts *stored,
                          Qcow2Counting *counting)
{
    Qcow2Walk *w = g_new(Qcow2Walk, 1);

    *w = (Qcow2Walk){
        .source = source,
        .header = counting->header,
        .l1_tables = l1_tables,
        .stored = stored,
        .counting = counting,
        .tables = g_array_new(FALSE, FALSE, sizeof(TableRef)),
        .faults = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, free_table_faults),
        .noisy = g_array_new(FALSE, FALSE, sizeof(NoisySlot)),
        .result = qcow2_l2_result_new(),
    };
    return w;
}

void qcow2_walk_free(Qcow2Walk *w)
{
    if (w) {
        g_array_free(w->tables, TRUE);
        g_hash_table_destroy(w->faults);
        g_array_free(w->noisy, TRUE);
        qcow2_l2_result_free(w->result);
        g_free(w);
    }
}

Qcow2Statistics qcow2_walk_statistics(const Qcow2Walk *w)
{
    return w->statistics;
}

static TableFaults *need_faults(Qcow2Walk *w, uint64_t table)
{
    TableFaults *f = g_hash_table_lookup(w->faults, &table);

    if (!f) {
        f = g_new(TableFaults, 1);
        f->faults = g_array_new(FALSE, FALSE, sizeof(Qcow2L2Fault));
        f->copied = g_array_new(FALSE, FALSE, sizeof(Qcow2L2Fault));
        g_hash_table_insert(w->faults, g_memdup2(&table, sizeof(table)), f);
    }
    return f;
}

static void add_fault(Qcow2Walk *w, uint64_t table, const Qcow2L2Fault *fault)
{
    g_array_append_vals(need_faults(w, table)->faults, fault, 1);
}

/* Faults of one entry stay in the order in which they were added: glib's sort is stable. */
static int compare_faults(const void *a, const void *b)
{
    const Qcow2L2Fault *x = a, *y = b;

    return (x->index > y->index) - (x->index < y->index);
}

/* ---- which tables there are ---- */

static int compare_table_refs(const void *a, const void *b)
{
    const TableRef *x = a, *y = b;

    return (x->offset > y->offset) - (x->offset < y->offset);
}

static void merge_equal_tables(GArray *tables)
{
    size_t kept = 0;

    for (size_t i = 0; i < tables->len; i++) {
        TableRef ref = g_array_index(tables, TableRef, i);
        TableRef *last = kept ? &g_array_index(tables, TableRef, kept - 1) : NULL;

        if (last && last->offset == ref.offset) {
            last->weight += ref.weight;
            last->active += ref.active;
        } else {
            g_array_index(tables, TableRef, kept++) = ref;
        }
    }
    g_array_set_size(tables, kept);
}

static void collect_tables(Qcow2Walk *w)
{
    size_t n_spans;
    const Qcow2TableSpan *spans = qcow2_tables_spans(w->l1_tables, &n_spans);

    for (size_t s = 0; s < n_spans; s++) {
        for (uint64_t i = 0; spans[s].slots && i < spans[s].n; i++) {
            TableRef ref = {
                .offset = spans[s].slots[i] & QCOW2_OFFSET_MASK,
                .weight = spans[s].weight,
                .active = spans[s].active,
            };

            /* an entry of nothing but flags is walked too: its table is the header cluster (X065) */
            if (spans[s].slots[i]) {
                g_array_append_val(w->tables, ref);
            }
        }
    }
    g_array_sort(w->tables, compare_table_refs);
    merge_equal_tables(w->tables);
}

/* ---- one table ---- */

/* Clusters of @run that begin below the end of the file, and so can be counted. */
static uint32_t clusters_inside(const Qcow2Walk *w, const Qcow2Run *run)
{
    uint64_t end = w->counting->file_end;

    if (run->offset >= end) {
        return 0;
    }
    return MIN(run->n, DIV_ROUND_UP(end - run->offset, w->header->cluster_size));
}

static void add_region_fault(Qcow2Walk *w, uint64_t table, uint32_t index, Qcow2FindingKind kind, uint64_t offset,
                             uint64_t size)
{
    Qcow2L2Fault fault = {.index = index, .kind = kind, .values = {offset, size}};

    add_fault(w, table, &fault);
}

static bool count_runs(Qcow2Walk *w, const TableRef *table)
{
    for (size_t i = 0; i < w->result->runs->len; i++) {
        const Qcow2Run *run = &g_array_index(w->result->runs, Qcow2Run, i);
        uint32_t inside = clusters_inside(w, run);

        if (inside && !refmap_add(w->counting->refs, run->offset >> w->header->cluster_bits, inside, table->weight)) {
            return false;
        }
        for (uint32_t k = inside; k < run->n; k++) {
            add_region_fault(w, table->offset, run->index + k, QCOW2_FINDING_REGION_BEYOND_END,
                             run->offset + ((uint64_t)k << w->header->cluster_bits), w->header->cluster_size);
        }
    }
    return true;
}

static bool count_extents(Qcow2Walk *w, const TableRef *table)
{
    for (size_t i = 0; i < w->result->extents->len; i++) {
        const Qcow2Extent *e = &g_array_index(w->result->extents, Qcow2Extent, i);

        if (qcow2_region_beyond_end(w->counting, e->offset, e->length)) {
            add_region_fault(w, table->offset, e->index, QCOW2_FINDING_REGION_BEYOND_END, e->offset, e->length);
        } else if (!qcow2_count_region(w->counting, e->offset, e->length, table->weight)) {
            return false;
        }
    }
    return true;
}

static void add_copied_fault(Qcow2Walk *w, const TableRef *table, const uint8_t *bytes, uint32_t index, uint64_t count)
{
    uint64_t entry = load_be64(bytes + (size_t)index * qcow2_l2_entry_size(w->header));
    Qcow2L2Fault fault = {.index = index, .kind = QCOW2_FINDING_L2_COPIED_WRONG, .values = {entry, count}};

    g_array_append_val(need_faults(w, table->offset)->copied, fault);
}

static void check_copied_run(Qcow2Walk *w, const TableRef *table, const uint8_t *bytes, const Qcow2Run *run)
{
    uint64_t first = run->offset >> w->header->cluster_bits;
    uint64_t i = 0;

    while ((i += qcow2_stored_counts_copied_mismatch(w->stored, first + i, run->n - i, run->copied)) < run->n) {
        uint64_t count;

        if (qcow2_stored_count(w->stored, first + i, &count)) {
            add_copied_fault(w, table, bytes, run->index + i, count);
        }
        i++;
    }
}

/* With an external data file, every cluster counts as used once. */
static void check_copied_run_in_data_file(Qcow2Walk *w, const TableRef *table, const uint8_t *bytes,
                                          const Qcow2Run *run)
{
    for (uint32_t i = 0; !run->copied && i < run->n; i++) {
        add_copied_fault(w, table, bytes, run->index + i, 1);
    }
}

static void check_copied_extent(Qcow2Walk *w, const TableRef *table, const uint8_t *bytes, const Qcow2Extent *e)
{
    bool copied = bytes[(size_t)e->index * qcow2_l2_entry_size(w->header)] & 0x80;
    uint64_t count = 1;
    bool known =
        qcow2_has_data_file(w->header) || qcow2_stored_count(w->stored, e->offset >> w->header->cluster_bits, &count);

    if (!e->compressed && known && (count == 1) != copied) {
        add_copied_fault(w, table, bytes, e->index, count);
    }
}

static void check_copied(Qcow2Walk *w, const TableRef *table, const uint8_t *bytes)
{
    const Qcow2L2Result *r = w->result;

    for (size_t i = 0; i < r->runs->len; i++) {
        const Qcow2Run *run = &g_array_index(r->runs, Qcow2Run, i);

        if (qcow2_has_data_file(w->header)) {
            check_copied_run_in_data_file(w, table, bytes, run);
        } else {
            check_copied_run(w, table, bytes, run);
        }
    }
    for (size_t i = 0; i < r->extents->len; i++) {
        check_copied_extent(w, table, bytes, &g_array_index(r->extents, Qcow2Extent, i));
    }
}

static void sort_faults(Qcow2Walk *w, uint64_t table)
{
    TableFaults *f = g_hash_table_lookup(w->faults, &table);

    if (f) {
        g_array_sort(f->faults, compare_faults);
        g_array_sort(f->copied, compare_faults);
    }
}

/* Counts what the table with @bytes refers to, and keeps what is wrong with it. */
static bool count_table(Qcow2Walk *w, const TableRef *table, const uint8_t *bytes)
{
    qcow2_l2_decode(w->header, bytes, w->result);
    for (size_t i = 0; i < w->result->faults->len; i++) {
        add_fault(w, table->offset, &g_array_index(w->result->faults, Qcow2L2Fault, i));
    }
    if (!qcow2_has_data_file(w->header) && (!count_runs(w, table) || !count_extents(w, table))) {
        return false;
    }
    if (table->active) {
        w->statistics.allocated += w->result->allocated * table->active;
        w->statistics.compressed += w->result->compressed * table->active;
        w->statistics.fragmented += w->result->fragmented * table->active;
        check_copied(w, table, bytes);
    }
    sort_faults(w, table->offset);
    return true;
}

static void add_overflow_faults(Qcow2Walk *w, const TableRef *table, uint32_t index, uint64_t offset, uint64_t size)
{
    if (!qcow2_region_beyond_end(w->counting, offset, size) && qcow2_region_noisy(w->counting, offset, size)) {
        add_region_fault(w, table->offset, index, QCOW2_FINDING_REFCOUNT_OVERFLOW, offset, size);
    }
}

/* Keeps which entries refer to clusters that have more references than can be stored. */
static bool find_overflows(Qcow2Walk *w, const TableRef *table, const uint8_t *bytes)
{
    const Qcow2L2Result *r = w->result;

    qcow2_l2_decode(w->header, bytes, w->result);
    for (size_t i = 0; i < r->runs->len; i++) {
        const Qcow2Run *run = &g_array_index(r->runs, Qcow2Run, i);

        for (uint32_t k = 0; k < run->n; k++) {
            add_overflow_faults(w, table, run->index + k, run->offset + ((uint64_t)k << w->header->cluster_bits),
                                w->header->cluster_size);
        }
    }
    for (size_t i = 0; i < r->extents->len; i++) {
        const Qcow2Extent *e = &g_array_index(r->extents, Qcow2Extent, i);

        add_overflow_faults(w, table, e->index, e->offset, e->length);
    }
    sort_faults(w, table->offset);
    return true;
}

/* ---- all tables ---- */

typedef bool TableFunction(Qcow2Walk *w, const TableRef *table, const uint8_t *bytes);

/* The number of tables from index @first on that lie side by side, as far as @limit bytes hold them. */
static size_t neighbours(const Qcow2Walk *w, size_t first, size_t limit)
{
    const TableRef *refs = (const TableRef *)(void *)w->tables->data;
    uint64_t size = w->header->cluster_size;
    size_t n = 1;

    while (first + n < w->tables->len && (n + 1) * size <= limit &&
           refs[first + n].offset == refs[first].offset + n * size) {
        n++;
    }
    return n;
}

static void keep_unreadable(Qcow2Walk *w, const TableRef *table, int error)
{
    Qcow2L2Fault fault = {.kind = QCOW2_FINDING_L2_UNREADABLE, .values = {-error}};

    add_fault(w, table->offset, &fault);
}

/* Reads @n neighbouring tables at once, or one by one where that fails, and passes them to @function. */
static bool for_tables(Qcow2Walk *w, size_t first, size_t n, uint8_t *buffer, TableFunction *function)
{
    const TableRef *refs = &g_array_index(w->tables, TableRef, first);
    uint64_t size = w->header->cluster_size;
    int error = block_source_read(w->source, buffer, n * size, refs[0].offset);

    for (size_t i = 0; i < n; i++) {
        int own = error ? block_source_read(w->source, buffer + i * size, size, refs[i].offset) : 0;

        if (own) {
            keep_unreadable(w, &refs[i], own);
        } else if (!function(w, &refs[i], buffer + i * size)) {
            return false;
        }
    }
    return true;
}

static bool for_each_table(Qcow2Walk *w, TableFunction *function, GError **errp)
{
    size_t limit = MAX(BATCH_BYTES, w->header->cluster_size);
    g_autofree uint8_t *buffer = w->tables->len ? g_try_malloc(limit) : NULL;
    bool ok = buffer || !w->tables->len;

    for (size_t i = 0, n; ok && i < w->tables->len; i += n) {
        n = neighbours(w, i, limit);
        /* tables beyond the end of the file are all zeros, in which there is nothing */
        if (g_array_index(w->tables, TableRef, i).offset < w->source->length) {
            ok = for_tables(w, i, n, buffer, function);
        }
    }
    if (!ok) {
        g_set_error_literal(errp, BLOCK_ERROR, ENOMEM, "No memory for counting references");
    }
    return ok;
}

bool qcow2_walk_count(Qcow2Walk *w, GError **errp)
{
    collect_tables(w);
    for (size_t i = 0; i < w->tables->len; i++) {
        const TableRef *ref = &g_array_index(w->tables, TableRef, i);

        if (!qcow2_count_region(w->counting, ref->offset, w->header->cluster_size, ref->weight)) {
            g_set_error_literal(errp, BLOCK_ERROR, ENOMEM, "No memory for counting references");
            return false;
        }
    }
    return for_each_table(w, count_table, errp);
}

/* ---- reporting ---- */

static bool slot_noisy(const Qcow2Walk *w, uint64_t value)
{
    uint64_t table = value & QCOW2_OFFSET_MASK;

    return (value & QCOW2_L1_RESERVED) || table % w->header->cluster_size ||
           qcow2_region_noisy(w->counting, table, w->header->cluster_size) || g_hash_table_contains(w->faults, &table);
}

static void collect_noisy_slots(Qcow2Walk *w)
{
    size_t n_spans;
    const Qcow2TableSpan *spans = qcow2_tables_spans(w->l1_tables, &n_spans);

    for (size_t s = 0; s < n_spans; s++) {
        for (uint64_t i = 0; spans[s].slots && i < spans[s].n; i++) {
            NoisySlot slot = {.offset = spans[s].offset + i * 8, .value = spans[s].slots[i]};

            if (slot.value && slot_noisy(w, slot.value)) {
                g_array_append_val(w->noisy, slot);
            }
        }
    }
}

bool qcow2_walk_finish(Qcow2Walk *w, GError **errp)
{
    if (w->counting->overflowed && !qcow2_has_data_file(w->header) && !for_each_table(w, find_overflows, errp)) {
        return false;
    }
    collect_noisy_slots(w);
    return true;
}

static void report_fault(Qcow2Walk *w, const Qcow2L2Fault *f, Qcow2Report *report)
{
    switch (f->kind) {
    case QCOW2_FINDING_REFCOUNT_OVERFLOW:
        qcow2_report_region(w->counting, f->values[0], f->values[1], report);
        return;
    case QCOW2_FINDING_L2_UNREADABLE:
        qcow2_report_failure(report, f->values[0]);
        break;
    default:
        break;
    }
    qcow2_report(report, &(Qcow2Finding){f->kind, {f->values[0], f->values[1]}});
}

static void report_slot(Qcow2Walk *w, uint64_t value, Qcow2Report *report)
{
    uint64_t table = value & QCOW2_OFFSET_MASK;
    const TableFaults *f = g_hash_table_lookup(w->faults, &table);

    if (value & QCOW2_L1_RESERVED) {
        qcow2_report(report, &(Qcow2Finding){QCOW2_FINDING_L1_RESERVED_BITS, {value}});
    }
    qcow2_report_region(w->counting, table, w->header->cluster_size, report);
    if (table % w->header->cluster_size) {
        qcow2_report(report, &(Qcow2Finding){QCOW2_FINDING_L2_TABLE_UNALIGNED, {table}});
    }
    for (size_t i = 0; f && i < f->faults->len; i++) {
        report_fault(w, &g_array_index(f->faults, Qcow2L2Fault, i), report);
    }
}

/* The index of the first noisy slot at or behind @offset of the file. */
static size_t find_noisy(const Qcow2Walk *w, uint64_t offset)
{
    size_t low = 0, high = w->noisy->len;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (g_array_index(w->noisy, NoisySlot, middle).offset < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

void qcow2_walk_report_tree(Qcow2Walk *w, uint64_t offset, uint64_t entries, Qcow2Report *report)
{
    uint64_t end;
    int error;

    if (!entries) {
        return;
    }
    qcow2_report_region(w->counting, offset, entries * 8, report);
    error = add_u64(offset, entries * 8, &end) && end <= BLOCK_SOURCE_MAX_LENGTH
                ? qcow2_tables_error(w->l1_tables, offset, entries)
                : -EIO;
    if (error) {
        qcow2_report(report, &(Qcow2Finding){QCOW2_FINDING_L1_UNREADABLE});
        qcow2_report_failure(report, -error);
        return;
    }
    for (size_t i = find_noisy(w, offset); i < w->noisy->len; i++) {
        const NoisySlot *slot = &g_array_index(w->noisy, NoisySlot, i);

        if (slot->offset >= end) {
            break;
        }
        report_slot(w, slot->value, report);
    }
}

static void report_copied_slot(Qcow2Walk *w, uint64_t index, uint64_t value, Qcow2Report *report)
{
    uint64_t table = value & QCOW2_OFFSET_MASK;
    const TableFaults *f;
    uint64_t count;

    if (!table || !qcow2_stored_count(w->stored, table >> w->header->cluster_bits, &count)) {
        return;
    }
    if ((count == 1) != !!(value & QCOW2_OFLAG_COPIED)) {
        qcow2_report(report, &(Qcow2Finding){QCOW2_FINDING_L1_COPIED_WRONG, {index, value, count}});
    }
    f = g_hash_table_lookup(w->faults, &table);
    for (size_t i = 0; f && i < f->copied->len; i++) {
        report_fault(w, &g_array_index(f->copied, Qcow2L2Fault, i), report);
    }
}

void qcow2_walk_report_copied(Qcow2Walk *w, uint64_t offset, uint64_t entries, Qcow2Report *report)
{
    uint64_t first = 0, n;
    const uint64_t *slots;

    while ((n = qcow2_tables_part(w->l1_tables, offset, entries, &first, &slots))) {
        for (uint64_t i = 0; i < n; i++) {
            report_copied_slot(w, first + i, slots[i], report);
        }
        first += n;
    }
}
