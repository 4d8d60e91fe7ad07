/*
 * Comparing stored with computed reference counts (docs/interop/check-behaviour.rst 4.1).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/check/compare.h"
#include "bytes.h"
#include "driver.h"
#include "messages.h"

/* Clusters of 512 bytes and counts of 16 bits: a block has 256 counts. The image is four blocks, and no more. */
typedef struct Fixture {
    uint8_t bytes[4 * 512];
    uint64_t entries[4];
    Qcow2HeaderFields header;
    Qcow2RefcountEntries table;
    RefMap *computed;
    Messages messages;
} Fixture;

static void fixture_begin(Fixture *f, uint64_t clusters, size_t n_entries)
{
    f->header = (Qcow2HeaderFields){.version = 3, .cluster_bits = 9, .cluster_size = 512, .refcount_order = 4};
    f->table = (Qcow2RefcountEntries){.entries = f->entries, .n = n_entries};
    f->computed = refmap_new(clusters);
    messages_begin(&f->messages);
}

static void fixture_clear(Fixture *f)
{
    refmap_free(f->computed);
    messages_clear(&f->messages);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Fixture, fixture_clear)

/* Sets the stored count @i of the block in cluster @block. */
static void store(Fixture *f, unsigned block, unsigned i, uint16_t count)
{
    put_be16(f->bytes + block * 512 + i * 2, count);
}

static void compute(Fixture *f, uint64_t first, uint64_t n, uint64_t count)
{
    g_assert_true(refmap_add(f->computed, first, n, count));
}

static uint64_t compare(Fixture *f)
{
    g_autoptr(BlockSource) source = block_source_new_memory(f->bytes, sizeof(f->bytes));
    g_autoptr(Qcow2StoredCounts) stored = load_counts(source, &f->header, &f->table);
    uint64_t end = qcow2_compare_refcounts(&f->header, stored, f->computed, &f->messages.report);

    messages_end(&f->messages);
    return end;
}

/* Counts that agree are no finding, and the highest cluster in use ends the image. */
static void test_equal(void)
{
    g_auto(Fixture) f = {0};

    fixture_begin(&f, 1024, 2);
    f.entries[1] = 512;
    for (unsigned i = 0; i < 200; i++) {
        store(&f, 1, i, (uint16_t)(i % 7));
        compute(&f, 256 + i, 1, i % 7);
    }
    g_assert_cmpuint(compare(&f), ==, 256 + 200); /* 199 % 7 is 3 */
    g_assert_cmpstr(f.messages.text, ==, "");
}

/* An image in which nothing is used ends behind its first cluster. */
static void test_nothing(void)
{
    g_auto(Fixture) f = {0};

    fixture_begin(&f, 1024, 0);
    g_assert_cmpuint(compare(&f), ==, 1);
    g_assert_cmpstr(f.messages.text, ==, "");
}

/* Too low a count is a corruption, too high a one a leak, whatever the difference; they come in order. */
static void test_different(void)
{
    g_auto(Fixture) f = {0};

    fixture_begin(&f, 1024, 1);
    f.entries[0] = 512;
    store(&f, 1, 0, 1);
    store(&f, 1, 3, 2);
    store(&f, 1, 4, 1);
    store(&f, 1, 5, 65535);
    store(&f, 1, 255, 1);
    compute(&f, 0, 1, 1);
    compute(&f, 2, 1, 1);
    compute(&f, 3, 1, 1);
    compute(&f, 4, 1, 2);
    g_assert_cmpuint(compare(&f), ==, 256);
    g_assert_cmpstr(f.messages.text, ==,
                    "ERROR cluster 2 refcount=0 reference=1\n"
                    "Leaked cluster 3 refcount=2 reference=1\n"
                    "ERROR cluster 4 refcount=1 reference=2\n"
                    "Leaked cluster 5 refcount=65535 reference=0\n"
                    "Leaked cluster 255 refcount=1 reference=0\n");
    g_assert_cmpuint(f.messages.report.corruptions, ==, 2);
    g_assert_cmpuint(f.messages.report.leaks, ==, 3);
    g_assert_cmpuint(f.messages.report.check_errors, ==, 0);
}

/* Without blocks, all that is used is counted too low, in pieces that lie far apart as well. */
static void test_no_blocks(void)
{
    g_auto(Fixture) f = {0};

    fixture_begin(&f, UINT64_C(1) << 40, 4);
    compute(&f, 0, 1, 1);
    compute(&f, 32767, 2, 3);
    compute(&f, (UINT64_C(1) << 40) - 1, 1, 2);
    g_assert_cmpuint(compare(&f), ==, UINT64_C(1) << 40);
    g_assert_cmpstr(f.messages.text, ==,
                    "ERROR cluster 0 refcount=0 reference=1\n"
                    "ERROR cluster 32767 refcount=0 reference=3\n"
                    "ERROR cluster 32768 refcount=0 reference=3\n"
                    "ERROR cluster 1099511627775 refcount=0 reference=2\n");
}

/* Clusters behind the end of the file are not compared, whatever is stored for them (X115). */
static void test_behind_end(void)
{
    g_auto(Fixture) f = {0};

    fixture_begin(&f, 3, 4);
    f.entries[0] = 512;
    f.entries[2] = 512;
    store(&f, 1, 2, 1);
    store(&f, 1, 3, 1);
    compute(&f, 2, 1, 1);
    g_assert_cmpuint(compare(&f), ==, 3);
    g_assert_cmpstr(f.messages.text, ==, "");
}

/* A block that two table entries share is compared for both. */
static void test_shared_block(void)
{
    g_auto(Fixture) f = {0};

    fixture_begin(&f, 1024, 2);
    f.entries[0] = f.entries[1] = 1024;
    store(&f, 2, 9, 1);
    compute(&f, 9, 1, 1);
    g_assert_cmpuint(compare(&f), ==, 256 + 10);
    g_assert_cmpstr(f.messages.text, ==, "Leaked cluster 265 refcount=1 reference=0\n");
}

/* Of a block that lies unaligned no count is known: it is named once, and then each cluster; none is in use. */
static void test_unaligned_blocks(void)
{
    g_auto(Fixture) f = {0};
    g_autoptr(GString) expected = g_string_new(
        "qcow2: Image is corrupt: Refblock offset 0x600 unaligned (reftable index: 0x1); further non-fatal "
        "corruption events will be suppressed\n");

    /* blocks of 1 KiB have 512 counts; the file has 2 and a bit of them */
    fixture_begin(&f, 1540, 4);
    f.header.cluster_bits = 10;
    f.header.cluster_size = 1024;
    f.entries[1] = 0x600;
    f.entries[3] = 0x200;
    compute(&f, 0, 1, 1);
    compute(&f, 600, 1, 1);
    f.entries[0] = 0x400;
    put_be16(f.bytes + 0x400, 1);
    for (unsigned i = 512; i < 1024; i++) {
        g_string_append_printf(expected, "Can't get refcount for cluster %u: Input/output error\n", i);
    }
    for (unsigned i = 1536; i < 1540; i++) {
        g_string_append_printf(expected, "Can't get refcount for cluster %u: Input/output error\n", i);
    }
    g_assert_cmpuint(compare(&f), ==, 1);
    g_assert_cmpstr(f.messages.text, ==, expected->str);
    g_assert_cmpuint(f.messages.report.check_errors, ==, 516);
    g_assert_cmpuint(f.messages.report.corruptions, ==, 0);
}

/* An offset of 2^63 and more cannot be read, but is no corrupt block when it is aligned. */
static void test_unreadable_block(void)
{
    g_auto(Fixture) f = {0};

    fixture_begin(&f, 2, 1);
    f.entries[0] = UINT64_C(1) << 63;
    g_assert_cmpuint(compare(&f), ==, 1);
    g_assert_cmpstr(f.messages.text, ==,
                    "Can't get refcount for cluster 0: Input/output error\n"
                    "Can't get refcount for cluster 1: Input/output error\n");
}

/* Counts of 64 bits are compared in full. */
static void test_wide(void)
{
    g_auto(Fixture) f = {0};

    fixture_begin(&f, 1024, 1);
    f.header.refcount_order = 6;
    f.entries[0] = 512;
    put_be64(f.bytes + 512, UINT64_MAX);
    put_be64(f.bytes + 520, UINT64_C(0x8000000000000001));
    compute(&f, 0, 1, UINT64_MAX);
    compute(&f, 1, 1, 1);
    g_assert_cmpuint(compare(&f), ==, 2);
    g_assert_cmpstr(f.messages.text, ==, "Leaked cluster 1 refcount=9223372036854775809 reference=1\n");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/compare/equal", test_equal);
    g_test_add_func("/compare/nothing", test_nothing);
    g_test_add_func("/compare/different", test_different);
    g_test_add_func("/compare/no-blocks", test_no_blocks);
    g_test_add_func("/compare/behind-end", test_behind_end);
    g_test_add_func("/compare/shared-block", test_shared_block);
    g_test_add_func("/compare/unaligned-blocks", test_unaligned_blocks);
    g_test_add_func("/compare/unreadable-block", test_unreadable_block);
    g_test_add_func("/compare/wide", test_wide);
    return g_test_run();
}
