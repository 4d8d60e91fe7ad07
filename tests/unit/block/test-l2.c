/*
 * Decoding one L2 table (docs/interop/qcow2-format.rst 6 and 7, docs/interop/check-behaviour.rst 3.4).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "block/qcow2/load/l2-result.h"
#include "bytes.h"

#define COPIED     (UINT64_C(1) << 63)
#define COMPRESSED (UINT64_C(1) << 62)

#define DATA_FILE   0x4 /* incompatible bits */
#define EXTENDED_L2 0x10

typedef struct Table {
    Qcow2HeaderFields header;
    uint8_t *bytes; /* one cluster */
    Qcow2L2Result *result;
} Table;

static void table_begin(Table *t, unsigned cluster_bits, uint64_t incompatible)
{
    *t = (Table){
        .header = {.version = 3,
                   .cluster_bits = cluster_bits,
                   .cluster_size = UINT64_C(1) << cluster_bits,
                   .l2_bits = cluster_bits - (incompatible & EXTENDED_L2 ? 4 : 3),
                   .incompatible_features = incompatible},
        .bytes = g_malloc0((size_t)1 << cluster_bits),
    };
    t->result = qcow2_l2_result_new(&t->header);
    g_assert_nonnull(t->result);
}

static void table_clear(Table *t)
{
    g_free(t->bytes);
    qcow2_l2_result_free(t->result);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Table, table_clear)

static void put(Table *t, unsigned index, uint64_t entry)
{
    put_be64(t->bytes + (size_t)index * qcow2_l2_entry_size(&t->header), entry);
}

static void put_extended(Table *t, unsigned index, uint64_t entry, uint64_t bitmap)
{
    put_be64(t->bytes + (size_t)index * 16, entry);
    put_be64(t->bytes + (size_t)index * 16 + 8, bitmap);
}

static void decode(Table *t)
{
    qcow2_l2_decode(&t->header, t->bytes, t->result);
}

static void expect_lengths(const Table *t, unsigned runs, unsigned extents, unsigned faults)
{
    g_assert_cmpuint(t->result->n_runs, ==, runs);
    g_assert_cmpuint(t->result->extents->len, ==, extents);
    g_assert_cmpuint(t->result->faults->len, ==, faults);
}

static void expect_run(const Table *t, unsigned i, Qcow2Run expected)
{
    const Qcow2Run *run = &t->result->runs[i];

    g_assert_cmpuint(run->index, ==, expected.index);
    g_assert_cmphex(run->offset, ==, expected.offset);
    g_assert_cmpuint(run->n, ==, expected.n);
    g_assert_true(run->copied == expected.copied);
}

static void expect_extent(const Table *t, unsigned i, Qcow2Extent expected)
{
    const Qcow2Extent *extent = &g_array_index(t->result->extents, Qcow2Extent, i);

    g_assert_cmpuint(extent->index, ==, expected.index);
    g_assert_cmphex(extent->offset, ==, expected.offset);
    g_assert_cmphex(extent->length, ==, expected.length);
    g_assert_true(extent->compressed == expected.compressed);
}

static void expect_fault(const Table *t, unsigned i, Qcow2L2Fault expected)
{
    const Qcow2L2Fault *fault = &g_array_index(t->result->faults, Qcow2L2Fault, i);

    g_assert_cmpuint(fault->index, ==, expected.index);
    g_assert_cmpint(fault->kind, ==, expected.kind);
    g_assert_cmphex(fault->values[0], ==, expected.values[0]);
    g_assert_cmphex(fault->values[1], ==, expected.values[1]);
}

static void expect_statistics(const Table *t, unsigned allocated, unsigned compressed, unsigned fragmented)
{
    g_assert_cmpuint(t->result->allocated, ==, allocated);
    g_assert_cmpuint(t->result->compressed, ==, compressed);
    g_assert_cmpuint(t->result->fragmented, ==, fragmented);
}

/* A table of zeros maps nothing, whatever its size. */
static void test_empty(void)
{
    for (unsigned bits = 9; bits <= 21; bits++) {
        g_auto(Table) t = {0};

        table_begin(&t, bits, 0);
        decode(&t);
        expect_lengths(&t, 0, 0, 0);
        expect_statistics(&t, 0, 0, 0);
    }
}

/* A full table written in order is one run, up to its last entry. */
static void test_one_run(void)
{
    g_auto(Table) t = {0};

    table_begin(&t, 9, 0);
    for (unsigned i = 0; i < 64; i++) {
        put(&t, i, COPIED | (0x4000 + i * 512));
    }
    decode(&t);
    expect_lengths(&t, 1, 0, 0);
    expect_run(&t, 0, (Qcow2Run){.offset = 0x4000, .index = 0, .n = 64, .copied = true});
    expect_statistics(&t, 64, 0, 0);
}

/* A run ends where the row of host clusters, the COPIED flag or the zero flag does. */
static void test_run_ends(void)
{
    g_auto(Table) t = {0};

    table_begin(&t, 16, 0);
    put(&t, 3, COPIED | 0x50000);
    put(&t, 4, COPIED | 0x60000);
    put(&t, 5, 0x70000);             /* not COPIED */
    put(&t, 6, 0x80001);             /* preallocated zero */
    put(&t, 8, 0x90000);             /* behind an unallocated entry */
    put(&t, 9, 0x90000);             /* the same again */
    put(&t, 8191, COPIED | 0x80000); /* backwards, and the last entry of all */
    decode(&t);
    expect_lengths(&t, 6, 0, 0);
    expect_run(&t, 0, (Qcow2Run){.offset = 0x50000, .index = 3, .n = 2, .copied = true});
    expect_run(&t, 1, (Qcow2Run){.offset = 0x70000, .index = 5, .n = 1});
    expect_run(&t, 2, (Qcow2Run){.offset = 0x80000, .index = 6, .n = 1});
    expect_run(&t, 3, (Qcow2Run){.offset = 0x90000, .index = 8, .n = 1});
    expect_run(&t, 4, (Qcow2Run){.offset = 0x90000, .index = 9, .n = 1});
    expect_run(&t, 5, (Qcow2Run){.offset = 0x80000, .index = 8191, .n = 1, .copied = true});
    /* entries 4 to 8 continue each other on the host; 9 and 8191 do not */
    expect_statistics(&t, 7, 0, 2);
}

/* A row cannot go on through the highest offset: the entry behind it has a reserved bit instead. */
static void test_run_at_highest_offset(void)
{
    g_auto(Table) t = {0};

    table_begin(&t, 9, 0);
    put(&t, 0, UINT64_C(0x00fffffffffffc00));
    put(&t, 1, UINT64_C(0x00fffffffffffe00));
    put(&t, 2, UINT64_C(0x0100000000000000));
    decode(&t);
    expect_lengths(&t, 1, 0, 1);
    expect_run(&t, 0, (Qcow2Run){.offset = UINT64_C(0x00fffffffffffc00), .index = 0, .n = 2});
    expect_fault(&t, 0, (Qcow2L2Fault){2, QCOW2_FINDING_L2_RESERVED_BITS, {UINT64_C(0x0100000000000000)}});
}

/* Compressed entries of 64 KiB clusters, as worked out in docs/interop/qcow2-format.rst 6.1. */
static void test_compressed(void)
{
    g_auto(Table) t = {0};

    table_begin(&t, 16, 0);
    put(&t, 0, UINT64_C(0x400000000005009e));
    put(&t, 7, UINT64_C(0x7fc000000005004f));
    decode(&t);
    expect_lengths(&t, 0, 2, 0);
    expect_extent(&t, 0, (Qcow2Extent){.offset = 0x5009e, .length = 0x162, .index = 0, .compressed = true});
    expect_extent(&t, 1, (Qcow2Extent){.offset = 0x5004f, .length = 0x1ffb1, .index = 7, .compressed = true});
    expect_statistics(&t, 2, 2, 2);
}

/* The greatest length and offset of a compressed cluster, for cluster sizes of the table in 6.1. */
static void test_compressed_widths(void)
{
    static const struct {
        unsigned cluster_bits, x;
        uint32_t max_n;
    } cases[] = {{9, 61, 1}, {12, 58, 15}, {14, 56, 63}, {16, 54, 255}, {18, 52, 1023}, {21, 49, 8191}};

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint64_t last = (UINT64_C(1) << cases[i].x) - 1; /* the last byte of a sector */
        g_auto(Table) t = {0};

        table_begin(&t, cases[i].cluster_bits, 0);
        put(&t, 0, COMPRESSED | (uint64_t)cases[i].max_n << cases[i].x);
        put(&t, 1, COMPRESSED | last);
        decode(&t);
        expect_lengths(&t, 0, 2, 0);
        expect_extent(&t, 0, (Qcow2Extent){.length = (cases[i].max_n + 1) * 512, .index = 0, .compressed = true});
        expect_extent(&t, 1, (Qcow2Extent){.offset = last, .length = 1, .index = 1, .compressed = true});
    }
}

/* Compressed clusters must not be COPIED; they are counted all the same. */
static void test_compressed_copied(void)
{
    g_auto(Table) t = {0};

    table_begin(&t, 16, 0);
    put(&t, 2, COPIED | UINT64_C(0x400000000005009e));
    decode(&t);
    expect_lengths(&t, 0, 1, 1);
    expect_extent(&t, 0, (Qcow2Extent){.offset = 0x5009e, .length = 0x162, .index = 2, .compressed = true});
    expect_fault(&t, 0, (Qcow2L2Fault){2, QCOW2_FINDING_COMPRESSED_COPIED, {0x5009e, 0x162}});
    expect_statistics(&t, 1, 1, 1);
}

/* Compressed clusters and an external data file exclude each other: the entry counts nowhere. */
static void test_compressed_with_data_file(void)
{
    g_auto(Table) t = {0};

    table_begin(&t, 16, DATA_FILE);
    put(&t, 5, COPIED | UINT64_C(0x400000000005009e));
    decode(&t);
    expect_lengths(&t, 0, 0, 2);
    expect_fault(&t, 0, (Qcow2L2Fault){5, QCOW2_FINDING_COMPRESSED_COPIED, {0x5009e, 0x162}});
    expect_fault(&t, 1, (Qcow2L2Fault){5, QCOW2_FINDING_COMPRESSED_WITH_DATA_FILE, {5, UINT64_C(0x400000000005009e)}});
    expect_statistics(&t, 0, 0, 0);
}

/* Plain zero and unallocated clusters own nothing; version 2 images have the zero flag too for a checker. */
static void test_zero(void)
{
    for (unsigned version = 2; version <= 3; version++) {
        g_auto(Table) t = {0};

        table_begin(&t, 16, 0);
        t.header.version = version;
        put(&t, 0, 1);
        put(&t, 1, COPIED | 1);
        put(&t, 2, COPIED);
        put(&t, 3, COPIED | 0x50001);
        decode(&t);
        expect_lengths(&t, 1, 0, 0);
        expect_run(&t, 0, (Qcow2Run){.offset = 0x50000, .index = 3, .n = 1, .copied = true});
        expect_statistics(&t, 1, 0, 0);
    }
}

/* Every reserved bit is a fault, in entries that map nothing too; the entry is processed as ever. */
static void test_reserved_bits(void)
{
    for (unsigned bit = 0; bit < 64; bit++) {
        bool reserved = (bit >= 1 && bit <= 8) || (bit >= 56 && bit <= 61);
        uint64_t entry = UINT64_C(1) << bit;
        g_auto(Table) t = {0};

        if (!reserved) {
            continue;
        }
        table_begin(&t, 16, 0);
        put(&t, 0, entry);
        put(&t, 1, entry | 1);
        put(&t, 2, entry | 0x50000);
        put(&t, 3, entry | 0x60000);
        decode(&t);
        g_assert_cmpuint(t.result->faults->len, ==, 4);
        expect_fault(&t, 0, (Qcow2L2Fault){0, QCOW2_FINDING_L2_RESERVED_BITS, {entry}});
        expect_fault(&t, 1, (Qcow2L2Fault){1, QCOW2_FINDING_L2_RESERVED_BITS, {entry | 1}});
        expect_fault(&t, 2, (Qcow2L2Fault){2, QCOW2_FINDING_L2_RESERVED_BITS, {entry | 0x50000}});
        expect_fault(&t, 3, (Qcow2L2Fault){3, QCOW2_FINDING_L2_RESERVED_BITS, {entry | 0x60000}});
        expect_statistics(&t, 2, 0, 0);
    }
}

/* In compressed entries the same bits have a meaning, and are no fault. */
static void test_reserved_bits_compressed(void)
{
    g_auto(Table) t = {0};

    table_begin(&t, 16, 0);
    put(&t, 0, COMPRESSED | UINT64_C(0x3f000000000001ff));
    decode(&t);
    expect_lengths(&t, 0, 1, 0);
}

/* An unaligned cluster is a fault, which one depends on whether it has data; it is counted as it lies. */
static void test_unaligned(void)
{
    g_auto(Table) t = {0};

    table_begin(&t, 16, 0);
    put(&t, 0, COPIED | 0x50200);
    put(&t, 1, 0x60201);
    put(&t, 2, 0x70000);
    decode(&t);
    expect_lengths(&t, 1, 2, 2);
    expect_extent(&t, 0, (Qcow2Extent){.offset = 0x50200, .length = 0x10000, .index = 0});
    expect_extent(&t, 1, (Qcow2Extent){.offset = 0x60200, .length = 0x10000, .index = 1});
    expect_fault(&t, 0, (Qcow2L2Fault){0, QCOW2_FINDING_DATA_UNALIGNED, {0x50200, 0x10000}});
    expect_fault(&t, 1, (Qcow2L2Fault){1, QCOW2_FINDING_PREALLOCATED_UNALIGNED, {0x60200, 0x10000}});
    /* the second continues the first, the third does not continue the second */
    expect_statistics(&t, 3, 0, 1);
}

/* Faults of one entry have the order of docs/interop/check-behaviour.rst 3.4: reserved bits, subclusters, alignment. */
static void test_fault_order(void)
{
    g_auto(Table) t = {0};

    table_begin(&t, 16, EXTENDED_L2);
    put_extended(&t, 4, 0x50202, UINT64_C(0x0000000100000001));
    decode(&t);
    expect_lengths(&t, 0, 1, 3);
    expect_fault(&t, 0, (Qcow2L2Fault){4, QCOW2_FINDING_L2_RESERVED_BITS, {0x50202}});
    expect_fault(&t, 1, (Qcow2L2Fault){4, QCOW2_FINDING_SUBCLUSTERS_CONTRADICT, {0x50200, 0x10000}});
    expect_fault(&t, 2, (Qcow2L2Fault){4, QCOW2_FINDING_DATA_UNALIGNED, {0x50200, 0x10000}});
}

/* Extended entries are 16 bytes wide, and bit 0 of the first word has no meaning. */
static void test_extended(void)
{
    g_auto(Table) t = {0};

    table_begin(&t, 14, EXTENDED_L2);
    put_extended(&t, 0, COPIED | 0x14000, 0xffffffff);
    put_extended(&t, 1, COPIED | 0x18000, 0);
    put_extended(&t, 2, COPIED | 0x1c000, UINT64_C(0xffffffff00000000));
    put_extended(&t, 1023, COPIED | 0x20001, UINT64_C(0xaaaaaaaa55555555));
    decode(&t);
    expect_lengths(&t, 2, 0, 0);
    expect_run(&t, 0, (Qcow2Run){.offset = 0x14000, .index = 0, .n = 3, .copied = true});
    expect_run(&t, 1, (Qcow2Run){.offset = 0x20000, .index = 1023, .n = 1, .copied = true});
    expect_statistics(&t, 4, 0, 0);
}

/* A subcluster cannot have data and read as zeros; the one cluster in a row that says so is named. */
static void test_extended_contradiction(void)
{
    static const uint64_t bitmaps[] = {UINT64_C(0x0000000100000001), UINT64_C(0x8000000080000000), UINT64_MAX};

    for (size_t i = 0; i < G_N_ELEMENTS(bitmaps); i++) {
        g_auto(Table) t = {0};

        table_begin(&t, 16, EXTENDED_L2);
        put_extended(&t, 0, 0x50000, 1);
        put_extended(&t, 1, 0x60000, bitmaps[i]);
        put_extended(&t, 2, 0x70000, 1);
        decode(&t);
        g_assert_cmpuint(t.result->faults->len, ==, 1);
        expect_fault(&t, 0, (Qcow2L2Fault){1, QCOW2_FINDING_SUBCLUSTERS_CONTRADICT, {0x60000, 0x10000}});
        expect_statistics(&t, 3, 0, 0);
    }
}

/* An unallocated cluster has no subclusters with data, but may have ones that read as zeros. */
static void test_extended_unallocated(void)
{
    g_auto(Table) t = {0};

    table_begin(&t, 16, EXTENDED_L2);
    put_extended(&t, 0, 0, UINT64_C(0xffffffff00000000));
    put_extended(&t, 1, 0, UINT64_C(0x0000000000000001));
    put_extended(&t, 2, 1, UINT64_C(0x0000000080000000)); /* bit 0 is no zero flag */
    put_extended(&t, 3, COPIED, UINT64_C(0xffffffffffffffff));
    decode(&t);
    expect_lengths(&t, 0, 0, 3);
    for (unsigned i = 0; i < 3; i++) {
        expect_fault(&t, i, (Qcow2L2Fault){i + 1, QCOW2_FINDING_UNALLOCATED_WITH_SUBCLUSTERS, {0}});
    }
    expect_statistics(&t, 0, 0, 0);
}

/* A compressed cluster has no bitmap; one that has is named without its COPIED flag and counts nowhere. */
static void test_extended_compressed(void)
{
    g_auto(Table) t = {0};

    table_begin(&t, 16, EXTENDED_L2);
    put_extended(&t, 0, UINT64_C(0x400000000005009e), 0);
    put_extended(&t, 1, COPIED | UINT64_C(0x400000000005009e), UINT64_C(1) << 63);
    decode(&t);
    expect_lengths(&t, 0, 1, 2);
    expect_extent(&t, 0, (Qcow2Extent){.offset = 0x5009e, .length = 0x162, .index = 0, .compressed = true});
    expect_fault(&t, 0, (Qcow2L2Fault){1, QCOW2_FINDING_COMPRESSED_COPIED, {0x5009e, 0x162}});
    expect_fault(&t, 1,
                 (Qcow2L2Fault){1, QCOW2_FINDING_COMPRESSED_WITH_SUBCLUSTERS, {1, UINT64_C(0x400000000005009e)}});
    expect_statistics(&t, 1, 1, 1);
}

/* An unaligned extended cluster has data where a subcluster has, whatever bit 0 says. */
static void test_extended_unaligned(void)
{
    g_auto(Table) t = {0};

    table_begin(&t, 16, EXTENDED_L2);
    put_extended(&t, 0, 0x50201, 2);
    put_extended(&t, 1, 0x60200, 0);
    put_extended(&t, 2, 0x70200, UINT64_C(0xffffffff00000000));
    decode(&t);
    expect_lengths(&t, 0, 3, 3);
    expect_fault(&t, 0, (Qcow2L2Fault){0, QCOW2_FINDING_DATA_UNALIGNED, {0x50200, 0x10000}});
    expect_fault(&t, 1, (Qcow2L2Fault){1, QCOW2_FINDING_PREALLOCATED_UNALIGNED, {0x60200, 0x10000}});
    expect_fault(&t, 2, (Qcow2L2Fault){2, QCOW2_FINDING_PREALLOCATED_UNALIGNED, {0x70200, 0x10000}});
}

/* With an external data file, offset 0 with the COPIED flag is a cluster, and without it none. */
static void test_data_file(void)
{
    g_auto(Table) t = {0};

    table_begin(&t, 16, DATA_FILE);
    put(&t, 0, COPIED);
    put(&t, 1, COPIED | 0x10000);
    put(&t, 9, COPIED | 1); /* plain zero goes first */
    decode(&t);
    expect_lengths(&t, 2, 0, 0);
    expect_run(&t, 0, (Qcow2Run){.offset = 0, .index = 0, .n = 1, .copied = true});
    expect_run(&t, 1, (Qcow2Run){.offset = 0x10000, .index = 1, .n = 1, .copied = true});
    expect_statistics(&t, 2, 0, 0);
}

/* A cluster is fragmented when it does not follow the one before, a compressed one always (3.4). */
static void test_fragmentation(void)
{
    g_auto(Table) t = {0};

    table_begin(&t, 16, 0);
    put(&t, 0, 0x90000);               /* the first of a table never is */
    put(&t, 1, 0x50000);               /* backwards: fragmented */
    put(&t, 2, COMPRESSED | 0x123456); /* fragmented, and the row goes on behind it */
    put(&t, 3, 0x60000);               /* follows entry 1 */
    put(&t, 4, 1);                     /* plain zero is no cluster */
    put(&t, 6, COPIED | 0x70001);      /* follows entry 3 */
    put(&t, 7, COPIED | 0x90000);      /* a gap: fragmented */
    decode(&t);
    expect_statistics(&t, 6, 1, 3);
}

/* A result is emptied before it is filled again. */
static void test_reuse(void)
{
    g_auto(Table) t = {0};

    table_begin(&t, 9, 0);
    put(&t, 0, 0x4000);
    put(&t, 1, COPIED | COMPRESSED);
    decode(&t);
    expect_lengths(&t, 1, 1, 1);
    memset(t.bytes, 0, 512);
    decode(&t);
    expect_lengths(&t, 0, 0, 0);
    expect_statistics(&t, 0, 0, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/l2/empty", test_empty);
    g_test_add_func("/l2/one-run", test_one_run);
    g_test_add_func("/l2/run-ends", test_run_ends);
    g_test_add_func("/l2/run-at-highest-offset", test_run_at_highest_offset);
    g_test_add_func("/l2/compressed", test_compressed);
    g_test_add_func("/l2/compressed-widths", test_compressed_widths);
    g_test_add_func("/l2/compressed-copied", test_compressed_copied);
    g_test_add_func("/l2/compressed-with-data-file", test_compressed_with_data_file);
    g_test_add_func("/l2/zero", test_zero);
    g_test_add_func("/l2/reserved-bits", test_reserved_bits);
    g_test_add_func("/l2/reserved-bits-compressed", test_reserved_bits_compressed);
    g_test_add_func("/l2/unaligned", test_unaligned);
    g_test_add_func("/l2/fault-order", test_fault_order);
    g_test_add_func("/l2/extended", test_extended);
    g_test_add_func("/l2/extended-contradiction", test_extended_contradiction);
    g_test_add_func("/l2/extended-unallocated", test_extended_unallocated);
    g_test_add_func("/l2/extended-compressed", test_extended_compressed);
    g_test_add_func("/l2/extended-unaligned", test_extended_unaligned);
    g_test_add_func("/l2/data-file", test_data_file);
    g_test_add_func("/l2/fragmentation", test_fragmentation);
    g_test_add_func("/l2/reuse", test_reuse);
    return g_test_run();
}
