/*
 * Counting what one L2 table refers to.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/check/table-count.h"

#include "block/qcow2/format/format.h"
#include "util/number.h"

Qcow2TableCounter *qcow2_table_counter_new(const Qcow2StoredCounts *stored, Qcow2Counting *counting, uint64_t *quota)
{
    Qcow2TableCounter *c = g_new(Qcow2TableCounter, 1);

    *c = (Qcow2TableCounter){
        .header = counting->header,
        .stored = stored,
        .counting = counting,
        .writer = refmap_writer_new(counting->refs),
        .result = qcow2_l2_result_new(counting->header),
        .faults = qcow2_faults_new(quota),
    };
    if (!c->result) {
        g_clear_pointer(&c, qcow2_table_counter_free);
    }
    return c;
}

void qcow2_table_counter_free(Qcow2TableCounter *c)
{
    if (c) {
        refmap_writer_free(c->writer);
        qcow2_l2_result_free(c->result);
        qcow2_faults_free(c->faults);
        g_free(c);
    }
}

static void add_region_fault(Qcow2TableCounter *c, uint64_t table, uint32_t index, ImageCheckFindingKind kind,
                             uint64_t offset, uint64_t size)
{
    Qcow2L2Fault fault = {.index = index, .kind = kind, .values = {offset, size}};

    qcow2_faults_add(c->faults, table, &fault);
}

/* Keeps that the clusters of @run behind its first @inside ones are behind the end of the file. */
static void add_run_beyond_end(Qcow2TableCounter *c, const Qcow2TableRef *table, const Qcow2Run *run, uint32_t inside)
{
    for (uint32_t k = inside; k < run->n; k++) {
        add_region_fault(c, table->offset, run->index + k, QCOW2_FINDING_REGION_BEYOND_END,
                         run->offset + ((uint64_t)k << c->header->cluster_bits), c->header->cluster_size);
    }
}

static bool count_runs(Qcow2TableCounter *c, const Qcow2TableRef *table)
{
    for (size_t i = 0; i < c->result->n_runs; i++) {
        const Qcow2Run *run = &c->result->runs[i];
        uint32_t inside = (uint32_t)qcow2_clusters_inside(c->counting, run->offset, run->n);

        if (inside && !refmap_writer_add(c->writer, run->offset >> c->header->cluster_bits, inside, table->weight)) {
            return false;
        }
        if (inside < run->n) {
            qcow2_note_beyond_end(c->counting, run->offset + ((uint64_t)inside << c->header->cluster_bits));
            add_run_beyond_end(c, table, run, inside);
        }
    }
    return true;
}

static bool count_extents(Qcow2TableCounter *c, const Qcow2TableRef *table)
{
    for (size_t i = 0; i < c->result->extents->len; i++) {
        const Qcow2Extent *e = &g_array_index(c->result->extents, Qcow2Extent, i);

        if (qcow2_region_beyond_end(c->counting, e->offset, e->length)) {
            add_region_fault(c, table->offset, e->index, QCOW2_FINDING_REGION_BEYOND_END, e->offset, e->length);
        }
        if (!qcow2_count_reference(c->counting, e->offset, e->length, table->weight)) {
            return false;
        }
    }
    return true;
}

static uint64_t load_entry(const Qcow2TableCounter *c, const uint8_t *bytes, uint32_t index)
{
    return load_be64(bytes + (size_t)index * qcow2_l2_entry_size(c->header));
}

static void add_copied_fault(Qcow2TableCounter *c, const Qcow2TableRef *table, const uint8_t *bytes, uint32_t index,
                             uint32_t n, uint64_t count)
{
    Qcow2CopiedFault fault = {.index = index, .n = n, .entry = load_entry(c, bytes, index), .count = count};

    qcow2_faults_add_copied(c->faults, table->offset, &fault);
}

/*
 * How many entries of @run, from its entry @i on, make one fault: their clusters have the stored count @count, and
 * nothing but the offset tells them apart (a run may have clusters that read as zeros, and others).
 */
static uint32_t equal_entries(const Qcow2TableCounter *c, const uint8_t *bytes, const Qcow2Run *run, uint32_t i,
                              uint64_t count)
{
    uint64_t cluster = (run->offset >> c->header->cluster_bits) + i;
    uint64_t entry = load_entry(c, bytes, run->index + i);
    uint64_t other, same;
    uint32_t n = 1;

    while (i + n < run->n && qcow2_stored_counts_stretch(c->stored, cluster + n, &other, &same) && other == count) {
        uint32_t end = (uint32_t)MIN(run->n - i, n + same);

        for (; n < end; n++) {
            if (load_entry(c, bytes, run->index + i + n) != entry + ((uint64_t)n << c->header->cluster_bits)) {
                return n;
            }
        }
    }
    return n;
}

static void check_copied_run(Qcow2TableCounter *c, const Qcow2TableRef *table, const uint8_t *bytes,
                             const Qcow2Run *run)
{
    uint64_t first = run->offset >> c->header->cluster_bits;
    uint64_t i = 0;

    while ((i += qcow2_stored_counts_copied_mismatch(c->stored, first + i, run->n - i, run->copied)) < run->n) {
        uint64_t count;
        uint32_t n = 1;

        if (qcow2_stored_count(c->stored, first + i, &count)) {
            n = equal_entries(c, bytes, run, (uint32_t)i, count);
            add_copied_fault(c, table, bytes, run->index + (uint32_t)i, n, count);
        }
        i += n;
    }
}

/* With an external data file, every cluster counts as used once. */
static void check_copied_run_in_data_file(Qcow2TableCounter *c, const Qcow2TableRef *table, const uint8_t *bytes,
                                          const Qcow2Run *run)
{
    for (uint32_t i = 0; !run->copied && i < run->n; i++) {
        add_copied_fault(c, table, bytes, run->index + i, 1, 1);
    }
}

static void check_copied_extent(Qcow2TableCounter *c, const Qcow2TableRef *table, const uint8_t *bytes,
                                const Qcow2Extent *e)
{
    bool copied = bytes[(size_t)e->index * qcow2_l2_entry_size(c->header)] & 0x80;
    uint64_t count = 1;
    bool known =
        qcow2_has_data_file(c->header) || qcow2_stored_count(c->stored, e->offset >> c->header->cluster_bits, &count);

    if (!e->compressed && known && (count == 1) != copied) {
        add_copied_fault(c, table, bytes, e->index, 1, count);
    }
}

static void check_copied(Qcow2TableCounter *c, const Qcow2TableRef *table, const uint8_t *bytes)
{
    const Qcow2L2Result *r = c->result;

    for (size_t i = 0; i < r->n_runs; i++) {
        const Qcow2Run *run = &r->runs[i];

        if (qcow2_has_data_file(c->header)) {
            check_copied_run_in_data_file(c, table, bytes, run);
        } else {
            check_copied_run(c, table, bytes, run);
        }
    }
    for (size_t i = 0; i < r->extents->len; i++) {
        check_copied_extent(c, table, bytes, &g_array_index(r->extents, Qcow2Extent, i));
    }
}

static void add_decoder_faults(Qcow2TableCounter *c, const Qcow2TableRef *table)
{
    for (size_t i = 0; i < c->result->faults->len; i++) {
        qcow2_faults_add(c->faults, table->offset, &g_array_index(c->result->faults, Qcow2L2Fault, i));
    }
}

bool qcow2_count_table(Qcow2TableCounter *c, const Qcow2TableRef *table, const uint8_t *bytes)
{
    qcow2_l2_decode(c->header, bytes, c->result);
    add_decoder_faults(c, table);
    if (!qcow2_has_data_file(c->header) && (!count_runs(c, table) || !count_extents(c, table))) {
        return false;
    }
    if (table->active) {
        c->statistics.allocated += c->result->allocated * table->active;
        c->statistics.compressed += c->result->compressed * table->active;
        c->statistics.fragmented += c->result->fragmented * table->active;
        check_copied(c, table, bytes);
    }
    qcow2_faults_sort(c->faults, table->offset);
    return true;
}

static void add_overflow_faults(Qcow2TableCounter *c, const Qcow2TableRef *table, uint32_t index, uint64_t offset,
                                uint64_t size)
{
    if (!qcow2_region_beyond_end(c->counting, offset, size) && qcow2_region_reportable(c->counting, offset, size)) {
        add_region_fault(c, table->offset, index, QCOW2_FINDING_REFCOUNT_OVERFLOW, offset, size);
    }
}

/* Of the table that is decoded. */
static void find_overflows(Qcow2TableCounter *c, const Qcow2TableRef *table)
{
    const Qcow2L2Result *r = c->result;

    for (size_t i = 0; i < r->n_runs; i++) {
        const Qcow2Run *run = &r->runs[i];

        for (uint32_t k = 0; k < run->n; k++) {
            add_overflow_faults(c, table, run->index + k, run->offset + ((uint64_t)k << c->header->cluster_bits),
                                c->header->cluster_size);
        }
    }
    for (size_t i = 0; i < r->extents->len; i++) {
        const Qcow2Extent *e = &g_array_index(r->extents, Qcow2Extent, i);

        add_overflow_faults(c, table, e->index, e->offset, e->length);
    }
}

void qcow2_find_table_overflows(Qcow2TableCounter *c, const Qcow2TableRef *table, const uint8_t *bytes)
{
    qcow2_l2_decode(c->header, bytes, c->result);
    find_overflows(c, table);
    qcow2_faults_sort(c->faults, table->offset);
}

/* What of the table that is decoded lies behind the end of the file. */
static void find_beyond_end(Qcow2TableCounter *c, const Qcow2TableRef *table)
{
    const Qcow2L2Result *r = c->result;

    for (size_t i = 0; i < r->n_runs; i++) {
        const Qcow2Run *run = &r->runs[i];

        add_run_beyond_end(c, table, run, (uint32_t)qcow2_clusters_inside(c->counting, run->offset, run->n));
    }
    for (size_t i = 0; i < r->extents->len; i++) {
        const Qcow2Extent *e = &g_array_index(r->extents, Qcow2Extent, i);

        if (qcow2_region_beyond_end(c->counting, e->offset, e->length)) {
            add_region_fault(c, table->offset, e->index, QCOW2_FINDING_REGION_BEYOND_END, e->offset, e->length);
        }
    }
}

void qcow2_find_table_faults(Qcow2TableCounter *c, const Qcow2TableRef *table, const uint8_t *bytes)
{
    qcow2_l2_decode(c->header, bytes, c->result);
    add_decoder_faults(c, table);
    if (!qcow2_has_data_file(c->header)) {
        find_beyond_end(c, table);
    }
    if (table->active) {
        check_copied(c, table, bytes);
    }
    if (c->counting->overflowed && !qcow2_has_data_file(c->header)) {
        find_overflows(c, table);
    }
    qcow2_faults_sort(c->faults, table->offset);
}
