/*
 * Stored reference counts (docs/interop/qcow2-format.rst 8). Comparing them is test-compare.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "bytes.h"
#include "driver.h"

static Qcow2HeaderFields header_of(unsigned cluster_bits, unsigned order)
{
    return (Qcow2HeaderFields){
        .version = 3,
        .cluster_bits = cluster_bits,
        .cluster_size = UINT64_C(1) << cluster_bits,
        .refcount_order = order,
    };
}

static uint64_t count_of(const Qcow2StoredCounts *counts, uint64_t cluster)
{
    uint64_t count = 0;

    g_assert_true(qcow2_stored_count(counts, cluster, &count));
    return count;
}

/* Each width has the greatest count and the number of counts in a block that the format gives it. */
static void test_widths(void)
{
    static const uint64_t max[] = {1, 3, 15, 255, 65535, UINT32_MAX, UINT64_MAX};

    for (unsigned order = 0; order <= 6; order++) {
        Qcow2HeaderFields h = header_of(16, order);

        g_assert_cmphex(qcow2_refcount_max(&h), ==, max[order]);
        /* 2^19 bits in a cluster */
        g_assert_cmpuint(qcow2_refblock_bits(&h), ==, 19 - order);
    }
}

/* Counts of every width lie where the table in docs/interop/qcow2-format.rst 8 has them. */
static void test_unpack(void)
{
    /* 0x1b is 00011011, 0xe4 is 11100100 */
    static const uint8_t block[16] = {0x1b, 0xe4, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab,
                                      0xcd, 0xef, 0x00, 0xff, 0x80, 0x7f, 0x10, 0x08};
    static const struct {
        unsigned order;
        size_t first, n;
        uint64_t counts[10];
    } cases[] = {
        {0, 0, 10, {1, 1, 0, 1, 1, 0, 0, 0, 0, 0}},
        {0, 10, 6, {1, 0, 0, 1, 1, 1}},
        {1, 0, 8, {3, 2, 1, 0, 0, 1, 2, 3}},
        {1, 3, 2, {0, 0}},
        {2, 0, 6, {0xb, 0x1, 0x4, 0xe, 0x1, 0x0}},
        {2, 31, 1, {0x0}},
        {2, 30, 1, {0x8}},
        {3, 0, 3, {0x1b, 0xe4, 0x01}},
        {3, 15, 1, {0x08}},
        {4, 0, 2, {0x1be4, 0x0123}},
        {4, 7, 1, {0x1008}},
        {5, 0, 2, {0x1be40123, 0x456789ab}},
        {5, 3, 1, {0x807f1008}},
        {6, 0, 2, {UINT64_C(0x1be40123456789ab), UINT64_C(0xcdef00ff807f1008)}},
        {6, 1, 1, {UINT64_C(0xcdef00ff807f1008)}},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint64_t counts[10];

        qcow2_unpack_refcounts(block, cases[i].order, cases[i].first, cases[i].n, counts);
        for (size_t k = 0; k < cases[i].n; k++) {
            g_test_message("case %zu, count %zu", i, k);
            g_assert_cmphex(counts[k], ==, cases[i].counts[k]);
        }
    }
}

/* The refcount table is read as far as the file holds it, and claims of a longer one cost nothing. */
static void test_table(void)
{
    static const struct {
        uint64_t offset;
        uint32_t clusters;
        size_t n;
    } cases[] = {
        {512, 1, 64},              /* whole */
        {512, 2, 128},             /* whole, to the end of the file */
        {1024, 16384, 64},         /* cut short */
        {1536, 16384, 0},          /* behind the end */
        {UINT64_C(1) << 62, 1, 0}, /* far behind it */
        {512, 0, 0},               /* of no clusters */
        {UINT64_C(0x7ffffffffffffe00), 0, 0},
    };
    uint8_t image[1536] = {0};

    put_be64(image + 512, 0x1000);
    put_be64(image + 1024, UINT64_C(0xfedcba9876543210));
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(BlockSource) source = block_source_new_memory(image, sizeof(image));
        Qcow2HeaderFields h = header_of(9, 4);
        Qcow2RefcountEntries table;

        h.refcount_table_offset = cases[i].offset;
        h.refcount_table_clusters = cases[i].clusters;
        g_assert_cmpint(qcow2_read_refcount_table(source, &h, &table), ==, 0);
        g_assert_cmpuint(table.n, ==, cases[i].n);
        if (table.n) {
            g_assert_cmphex(table.entries[0], ==,
                            cases[i].offset == 512 ? UINT64_C(0x1000) : UINT64_C(0xfedcba9876543210));
            g_assert_cmphex(table.entries[1], ==, 0);
        }
        g_free(table.entries);
    }
}

/* A file that ends inside of an entry has the rest of it as zeros. */
static void test_table_cut_in_entry(void)
{
    static const uint8_t image[516] = {[512] = 0x01, 0x02, 0x03, 0x04};
    g_autoptr(BlockSource) source = block_source_new_memory(image, sizeof(image));
    Qcow2HeaderFields h = header_of(9, 4);
    Qcow2RefcountEntries table;

    h.refcount_table_offset = 512;
    h.refcount_table_clusters = 1;
    g_assert_cmpint(qcow2_read_refcount_table(source, &h, &table), ==, 0);
    g_assert_cmpuint(table.n, ==, 1);
    g_assert_cmphex(table.entries[0], ==, UINT64_C(0x0102030400000000));
    g_free(table.entries);
}

/* A table beyond what can be read at all is an error (docs/interop/check-behaviour.rst 2.7). */
static void test_table_unreadable(void)
{
    g_autoptr(BlockSource) source = block_source_new_memory("", 0);
    Qcow2HeaderFields h = header_of(9, 4);
    Qcow2RefcountEntries table;

    h.refcount_table_offset = UINT64_C(0x7fffffffc0000000);
    h.refcount_table_clusters = 1;
    g_assert_cmpint(qcow2_read_refcount_table(source, &h, &table), ==, -EIO);
    g_free(table.entries);
}

/* An image of nothing but refcount blocks, each a cluster, with a table that the test writes. */
typedef struct Blocks {
    uint8_t *bytes;
    Qcow2HeaderFields header;
    BlockSource *source;
    Qcow2StoredCounts *counts;
} Blocks;

static void blocks_begin(Blocks *b, unsigned cluster_bits, unsigned order, unsigned n)
{
    b->header = header_of(cluster_bits, order);
    b->bytes = g_malloc0((size_t)n << cluster_bits);
    b->source = block_source_new_memory(b->bytes, (size_t)n << cluster_bits);
}

static void blocks_load(Blocks *b, uint64_t *entries, size_t n)
{
    Qcow2RefcountEntries table = {.entries = entries, .n = n};

    b->counts = load_counts(b->source, &b->header, &table);
}

static void blocks_clear(Blocks *b)
{
    qcow2_stored_counts_free(b->counts);
    block_source_close(b->source);
    g_free(b->bytes);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Blocks, blocks_clear)

static void put_count(uint8_t *block, unsigned order, size_t i, uint64_t count)
{
    unsigned width = 1u << order;
    size_t bit = i << order;

    if (order >= 3) {
        put_be(block + i * (width / 8), width / 8, count);
    } else {
        block[bit / 8] &= (uint8_t) ~(((1u << width) - 1) << bit % 8);
        block[bit / 8] |= (uint8_t)(count << bit % 8);
    }
}

/* A block in which all counts are the same has that count everywhere, in every width. */
static void test_equal_counts(void)
{
    for (unsigned order = 0; order <= 6; order++) {
        Qcow2HeaderFields h = header_of(9, order);
        size_t n = (size_t)1 << qcow2_refblock_bits(&h);
        uint64_t values[] = {0, 1, qcow2_refcount_max(&h)};

        for (size_t v = 0; v < G_N_ELEMENTS(values); v++) {
            uint64_t entries[] = {512};
            g_auto(Blocks) b = {0};

            blocks_begin(&b, 9, order, 2);
            for (size_t i = 0; i < n; i++) {
                put_count(b.bytes + 512, order, i, values[v]);
            }
            blocks_load(&b, entries, 1);
            g_assert_null(qcow2_stored_counts_piece(b.counts, 0)->data);
            for (size_t i = 0; i < n; i++) {
                g_assert_cmphex(count_of(b.counts, i), ==, values[v]);
            }
        }
    }
}

/* One count that differs is seen wherever it is, in every width. */
static void test_one_differs(void)
{
    for (unsigned order = 0; order <= 6; order++) {
        Qcow2HeaderFields h = header_of(9, order);
        size_t n = (size_t)1 << qcow2_refblock_bits(&h);

        for (size_t odd = 0; odd < n; odd += odd < 9 || odd > n - 10 ? 1 : n / 16) {
            uint64_t entries[] = {512};
            g_auto(Blocks) b = {0};

            blocks_begin(&b, 9, order, 2);
            for (size_t i = 0; i < n; i++) {
                put_count(b.bytes + 512, order, i, i != odd);
            }
            blocks_load(&b, entries, 1);
            for (size_t i = 0; i < n; i++) {
                g_assert_cmphex(count_of(b.counts, i), ==, i != odd);
            }
        }
    }
}

/* Bytes that are all alike are no equal counts where a byte has several. */
static void test_equal_bytes(void)
{
    static const struct {
        unsigned order;
        uint8_t byte;
        uint64_t counts[4];
    } cases[] = {{0, 0x05, {1, 0, 1, 0}}, {1, 0x1b, {3, 2, 1, 0}}, {2, 0x21, {1, 2, 1, 2}}, {0, 0x7f, {1, 1, 1, 1}}};

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint64_t entries[] = {512};
        g_auto(Blocks) b = {0};

        blocks_begin(&b, 9, cases[i].order, 2);
        memset(b.bytes + 512, cases[i].byte, 512);
        blocks_load(&b, entries, 1);
        for (size_t k = 0; k < 4; k++) {
            g_assert_cmpuint(count_of(b.counts, k), ==, cases[i].counts[k]);
        }
    }
    {
        uint64_t entries[] = {512};
        g_auto(Blocks) b = {0};

        blocks_begin(&b, 9, 0, 2);
        memset(b.bytes + 512, 0x7f, 512);
        blocks_load(&b, entries, 1);
        g_assert_cmpuint(count_of(b.counts, 7), ==, 0);
        g_assert_cmpuint(count_of(b.counts, 4095), ==, 0);
    }
}

/* Blocks with more counts than a piece takes are cut into pieces, each with its own counts. */
static void test_large_block(void)
{
    uint64_t entries[] = {UINT64_C(1) << 21, 0, UINT64_C(1) << 21};
    g_auto(Blocks) b = {0};

    blocks_begin(&b, 21, 0, 2); /* 2^24 counts of one bit */
    b.bytes[(1 << 21) + 4096] = 0x02;
    b.bytes[(1 << 22) - 1] = 0x80;
    blocks_load(&b, entries, 3);
    g_assert_cmpuint(qcow2_stored_counts_piece_bits(b.counts), ==, 15);
    g_assert_cmpuint(count_of(b.counts, 32768), ==, 0);
    g_assert_cmpuint(count_of(b.counts, 32769), ==, 1);
    g_assert_cmpuint(count_of(b.counts, 32770), ==, 0);
    g_assert_cmpuint(count_of(b.counts, (1 << 24) - 1), ==, 1);
    g_assert_cmpuint(count_of(b.counts, 1 << 24), ==, 0);
    g_assert_cmpuint(count_of(b.counts, (1 << 25) + 32769), ==, 1);
}

/* Entries that share a block share its counts, and flags in the low bits do not hinder that (4.1). */
static void test_shared_block(void)
{
    uint64_t entries[] = {512, 512, 0, 512 | 0x1ff};
    g_auto(Blocks) b = {0};

    blocks_begin(&b, 9, 4, 2); /* 256 counts in a block */
    put_be16(b.bytes + 512 + 2 * 7, 5);
    blocks_load(&b, entries, 4);
    g_assert_cmpuint(count_of(b.counts, 7), ==, 5);
    g_assert_cmpuint(count_of(b.counts, 256 + 7), ==, 5);
    g_assert_cmpuint(count_of(b.counts, 512 + 7), ==, 0);
    g_assert_cmpuint(count_of(b.counts, 768 + 7), ==, 5);
    g_assert_true(qcow2_stored_counts_piece(b.counts, 0) == qcow2_stored_counts_piece(b.counts, 256));
}

/* Of a block that lies unaligned nothing is known, and why is EIO. */
static void test_unaligned_block(void)
{
    uint64_t entries[] = {1024, 1536};
    uint64_t count;
    g_auto(Blocks) b = {0};

    blocks_begin(&b, 10, 4, 3); /* 512 counts in a block */
    memset(b.bytes, 0x11, 3 * 1024);
    blocks_load(&b, entries, 2);
    g_assert_cmphex(count_of(b.counts, 511), ==, 0x1111);
    g_assert_false(qcow2_stored_count(b.counts, 512, &count));
    g_assert_false(qcow2_stored_count(b.counts, 1023, &count));
    g_assert_null(qcow2_stored_counts_piece(b.counts, 600));
    g_assert_cmpint(qcow2_stored_counts_error(b.counts, 600), ==, EIO);
    g_assert_cmpint(qcow2_stored_counts_error(b.counts, 511), ==, 0);
}

/* A block behind the end of the file is one of zeros; one beyond what can be read is unknown (4.1). */
static void test_block_outside(void)
{
    uint64_t entries[] = {UINT64_C(1) << 40, UINT64_C(1) << 63, UINT64_C(0xfffffffffffffe00)};
    uint64_t count;
    g_auto(Blocks) b = {0};

    blocks_begin(&b, 9, 4, 1);
    blocks_load(&b, entries, 3);
    g_assert_cmpuint(count_of(b.counts, 0), ==, 0);
    g_assert_false(qcow2_stored_count(b.counts, 256, &count));
    g_assert_false(qcow2_stored_count(b.counts, 512, &count));
    g_assert_cmpint(qcow2_stored_counts_error(b.counts, 256), ==, EIO);
}

/* A block that the end of the file cuts has zeros behind it. */
static void test_block_cut(void)
{
    uint8_t image[512 + 3] = {0};
    uint64_t entries[] = {512};
    Qcow2RefcountEntries table = {.entries = entries, .n = 1};
    Qcow2HeaderFields h = header_of(9, 4);
    g_autoptr(BlockSource) source = block_source_new_memory(image, sizeof(image));
    g_autoptr(Qcow2StoredCounts) counts = NULL;

    memset(image + 512, 0x12, 3);
    counts = load_counts(source, &h, &table);
    g_assert_cmphex(count_of(counts, 0), ==, 0x1212);
    g_assert_cmphex(count_of(counts, 1), ==, 0x1200);
    g_assert_cmphex(count_of(counts, 2), ==, 0);
}

/* Clusters behind the table have the count 0, and so has everything where there is no table. */
static void test_behind_table(void)
{
    uint64_t entries[] = {512};
    g_auto(Blocks) b = {0};
    g_auto(Blocks) none = {0};

    blocks_begin(&b, 9, 4, 2);
    memset(b.bytes + 512, 1, 512);
    blocks_load(&b, entries, 1);
    g_assert_cmphex(count_of(b.counts, 255), ==, 0x0101);
    g_assert_cmphex(count_of(b.counts, 256), ==, 0);
    g_assert_cmphex(count_of(b.counts, UINT64_MAX), ==, 0);

    blocks_begin(&none, 9, 4, 1);
    blocks_load(&none, NULL, 0);
    g_assert_cmphex(count_of(none.counts, 0), ==, 0);
    g_assert_cmphex(qcow2_stored_counts_next(none.counts, 0), ==, UINT64_MAX);
}

/* Going from block to block passes over the clusters that have none. */
static void test_next(void)
{
    uint64_t entries[] = {0, 0, 512, 0, 512, 0};
    g_auto(Blocks) b = {0};

    blocks_begin(&b, 9, 4, 2);
    blocks_load(&b, entries, 6);
    g_assert_cmpuint(qcow2_stored_counts_next(b.counts, 0), ==, 512);
    g_assert_cmpuint(qcow2_stored_counts_next(b.counts, 512), ==, 512);
    g_assert_cmpuint(qcow2_stored_counts_next(b.counts, 700), ==, 700);
    g_assert_cmpuint(qcow2_stored_counts_next(b.counts, 768), ==, 1024);
    g_assert_cmphex(qcow2_stored_counts_next(b.counts, 1280), ==, UINT64_MAX);
    g_assert_cmphex(qcow2_stored_counts_next(b.counts, UINT64_C(1) << 60), ==, UINT64_MAX);
}

/* A COPIED flag is wrong where the count is 1 without it or another with it; unknown counts are passed over. */
static void test_copied_mismatch(void)
{
    /* counts: 0..99 are 1, 100 is 2, 101..255 are 1; all of block 1 is 1; block 2 is unknown; no block 3 */
    uint64_t entries[] = {1024, 2048, 1536, 0};
    static const struct {
        uint64_t first, n;
        bool copied;
        uint64_t expected;
    } cases[] = {
        {0, 100, true, 100},    {0, 256, true, 100},     {101, 155, true, 155},  {101, 1000, true, 1000},
        {0, 256, false, 0},     {100, 1, false, 1},      {100, 2, false, 1},     {600, 400, true, 400},
        {1024, 512, true, 512}, {1024, 512, false, 512}, {1024, 513, true, 512}, {1536, 5000, false, 5000},
        {1535, 2, true, 1},     {100, 0, true, 0},       {1023, 600, false, 0},
    };
    g_auto(Blocks) b = {0};

    blocks_begin(&b, 10, 4, 3); /* 512 counts in a block */
    for (size_t i = 0; i < 1024; i++) {
        put_be16(b.bytes + 1024 + 2 * i, i == 100 ? 2 : 1);
    }
    blocks_load(&b, entries, 4);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("case %zu", i);
        g_assert_cmpuint(qcow2_stored_counts_copied_mismatch(b.counts, cases[i].first, cases[i].n, cases[i].copied), ==,
                         cases[i].expected);
    }
}

/* What is packed is unpacked as it was, in every width, and its neighbours keep their counts. */
static void test_pack(void)
{
    for (unsigned order = 0; order <= 6; order++) {
        uint8_t block[512];
        uint64_t max = UINT64_MAX >> (64 - (1u << order)), counts[20];

        memset(block, 0, sizeof(block));
        qcow2_pack_refcounts(block, order, 3, 14, max);
        qcow2_pack_refcounts(block, order, 5, 2, 0);
        qcow2_pack_refcounts(block, order, 9, 1, 1);
        qcow2_unpack_refcounts(block, order, 0, G_N_ELEMENTS(counts), counts);
        for (size_t i = 0; i < G_N_ELEMENTS(counts); i++) {
            uint64_t wanted = i < 3 || i == 5 || i == 6 || i > 16 ? 0 : i == 9 ? 1 : max;

            g_assert_cmpuint(counts[i], ==, wanted);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/refcount/widths", test_widths);
    g_test_add_func("/refcount/unpack", test_unpack);
    g_test_add_func("/refcount/pack", test_pack);
    g_test_add_func("/refcount/table", test_table);
    g_test_add_func("/refcount/table-cut-in-entry", test_table_cut_in_entry);
    g_test_add_func("/refcount/table-unreadable", test_table_unreadable);
    g_test_add_func("/refcount/equal-counts", test_equal_counts);
    g_test_add_func("/refcount/one-differs", test_one_differs);
    g_test_add_func("/refcount/equal-bytes", test_equal_bytes);
    g_test_add_func("/refcount/large-block", test_large_block);
    g_test_add_func("/refcount/shared-block", test_shared_block);
    g_test_add_func("/refcount/unaligned-block", test_unaligned_block);
    g_test_add_func("/refcount/block-outside", test_block_outside);
    g_test_add_func("/refcount/block-cut", test_block_cut);
    g_test_add_func("/refcount/behind-table", test_behind_table);
    g_test_add_func("/refcount/next", test_next);
    g_test_add_func("/refcount/copied-mismatch", test_copied_mismatch);
    return g_test_run();
}
