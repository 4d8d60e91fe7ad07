/*
 * Counting references to regions of the file (docs/interop/check-behaviour.rst 3.2).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "block/qcow2/check/count.h"
#include "messages.h"

#define CLUSTER UINT64_C(65536)

typedef struct Fixture {
    Qcow2HeaderFields header;
    Qcow2Counting counting;
    Messages messages;
} Fixture;

static void fixture_begin(Fixture *f, unsigned refcount_order, uint64_t length)
{
    f->header = (Qcow2HeaderFields){
        .version = 3, .cluster_bits = 16, .cluster_size = CLUSTER, .refcount_order = refcount_order};
    qcow2_counting_init(&f->counting, &f->header, length);
    messages_begin(&f->messages);
}

static void fixture_clear(Fixture *f)
{
    qcow2_counting_clear(&f->counting);
    messages_clear(&f->messages);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Fixture, fixture_clear)

static void count(Fixture *f, uint64_t offset, uint64_t size, uint64_t weight)
{
    g_assert_true(qcow2_count_region(&f->counting, offset, size, weight));
}

static void report(Fixture *f, uint64_t offset, uint64_t size)
{
    Qcow2Location location = qcow2_location_range(IMAGE_CHECK_STRUCTURE_NONE, offset, size);

    qcow2_report_region(&f->counting, &location, &f->messages.report);
}

static void expect_counts(const Fixture *f, const uint64_t *expected, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        g_assert_cmpuint(refmap_get(f->counting.refs, i), ==, expected[i]);
    }
}

/* The file is rounded up to a sector, and has as many clusters as it takes to hold it (2.7). */
static void test_file_end(void)
{
    static const struct {
        uint64_t length, end, clusters;
    } cases[] = {
        {0, 0, 0}, {1, 512, 1}, {512, 512, 1}, {65536, 65536, 1}, {65537, 66048, 2}, {8 * 65536, 8 * 65536, 8},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(Fixture) f = {0};

        fixture_begin(&f, 4, cases[i].length);
        g_assert_cmpuint(f.counting.file_end, ==, cases[i].end);
        g_assert_cmpuint(refmap_clusters(f.counting.refs), ==, cases[i].clusters);
        messages_end(&f.messages);
    }
}

/* A region counts for every cluster that it touches, as often as its weight says. */
static void test_regions(void)
{
    static const uint64_t expected[] = {1, 3, 2, 2, 5, 0, 7, 0};
    g_auto(Fixture) f = {0};

    fixture_begin(&f, 4, 8 * CLUSTER);
    count(&f, 0, CLUSTER, 1);
    count(&f, CLUSTER, 1, 1);
    count(&f, 2 * CLUSTER - 1, 2 * CLUSTER + 1, 2); /* the last byte of cluster 1 to the end of cluster 3 */
    count(&f, 4 * CLUSTER, CLUSTER, 5);
    count(&f, 7 * CLUSTER - 1, 1, 7);
    expect_counts(&f, expected, G_N_ELEMENTS(expected));
    messages_end(&f.messages);
}

/* A size of 0 or, as a signed number, below counts nothing and is no fault. */
static void test_empty_regions(void)
{
    static const uint64_t sizes[] = {0, UINT64_C(1) << 63, UINT64_MAX};
    static const uint64_t expected[] = {0, 0};
    g_auto(Fixture) f = {0};

    fixture_begin(&f, 4, 2 * CLUSTER);
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        count(&f, CLUSTER, sizes[i], 1);
        count(&f, 100 * CLUSTER, sizes[i], 1);
        g_assert_false(qcow2_region_beyond_end(&f.counting, 100 * CLUSTER, sizes[i]));
        g_assert_false(qcow2_region_reportable(&f.counting, 100 * CLUSTER, sizes[i]));
    }
    expect_counts(&f, expected, 2);
    qcow2_counting_finish(&f.counting);
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        report(&f, 100 * CLUSTER, sizes[i]);
    }
    g_assert_cmpstr(messages_end(&f.messages), ==, "");
}

/* A region may exceed the rounded end of the file by less than a cluster. */
static void test_beyond_end(void)
{
    static const struct {
        uint64_t length, offset, size;
        bool beyond;
    } cases[] = {
        {8 * 65536, 8 * 65536 - 1, 65536, false},
        {8 * 65536, 8 * 65536, 65535, false},
        {8 * 65536, 8 * 65536, 65536, true},
        {8 * 65536, 0, 9 * 65536 - 1, false},
        {8 * 65536, 0, 9 * 65536, true},
        {7 * 65536 + 1, 7 * 65536, 65536, false},
        {7 * 65536 + 1, 7 * 65536, 65536 + 511, false},
        {7 * 65536 + 1, 7 * 65536, 65536 + 512, true}, /* the end is at 7 clusters and 512 bytes */
        {0, 0, 65535, false},
        {0, 0, 65536, true},
        {8 * 65536, UINT64_MAX - 511, 512, true},
        {8 * 65536, UINT64_MAX, 1, true},
        {8 * 65536, UINT64_C(1) << 63, INT64_MAX, true},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(Fixture) f = {0};

        fixture_begin(&f, 4, cases[i].length);
        g_test_message("case %zu", i);
        g_assert_true(qcow2_region_beyond_end(&f.counting, cases[i].offset, cases[i].size) == cases[i].beyond);
        g_assert_true(qcow2_region_reportable(&f.counting, cases[i].offset, cases[i].size) == cases[i].beyond);
        messages_end(&f.messages);
    }
}

/* A region beyond the end is not counted, not even the part that lies inside, and it is named each time. */
static void test_beyond_end_uncounted(void)
{
    static const uint64_t expected[] = {0, 0, 0, 0};
    g_auto(Fixture) f = {0};

    fixture_begin(&f, 4, 2 * CLUSTER);
    count(&f, CLUSTER, 2 * CLUSTER, 1);
    expect_counts(&f, expected, 4);
    qcow2_counting_finish(&f.counting);
    report(&f, CLUSTER, 2 * CLUSTER);
    report(&f, CLUSTER, 2 * CLUSTER);
    g_assert_cmpstr(messages_end(&f.messages), ==,
                    "ERROR: counting reference for region exceeding the end of the file by one cluster or more: "
                    "offset 0x10000 size 0x20000\n"
                    "ERROR: counting reference for region exceeding the end of the file by one cluster or more: "
                    "offset 0x10000 size 0x20000\n");
    g_assert_cmpuint(f.messages.report.corruptions, ==, 2);
}

/* An unaligned region at the end makes the map grow by the cluster that it touches. */
static void test_growing(void)
{
    static const uint64_t expected[] = {0, 1, 1};
    g_auto(Fixture) f = {0};

    fixture_begin(&f, 4, 2 * CLUSTER);
    count(&f, CLUSTER + 512, CLUSTER, 1);
    expect_counts(&f, expected, 3);
    g_assert_cmpuint(refmap_clusters(f.counting.refs), ==, 3);
    messages_end(&f.messages);
}

/* Counts as great as the width allows are no fault. */
static void test_greatest(void)
{
    g_auto(Fixture) f = {0};

    fixture_begin(&f, 1, 4 * CLUSTER); /* two bits: 3 at most */
    count(&f, CLUSTER, CLUSTER, 3);
    qcow2_counting_finish(&f.counting);
    g_assert_null(f.counting.overflowed);
    g_assert_false(qcow2_region_reportable(&f.counting, CLUSTER, CLUSTER));
    report(&f, CLUSTER, CLUSTER);
    g_assert_cmpstr(messages_end(&f.messages), ==, "");
    g_assert_cmpuint(refmap_get(f.counting.refs, 1), ==, 3);
}

/* References beyond the greatest count are named when they come, the last ones in order, and are not counted. */
static void test_overflow(void)
{
    static const uint64_t expected[] = {0, 3, 3, 1};
    g_auto(Fixture) f = {0};

    fixture_begin(&f, 1, 4 * CLUSTER);
    count(&f, CLUSTER, 2 * CLUSTER, 3);
    count(&f, 2 * CLUSTER, 2 * CLUSTER, 1);
    count(&f, CLUSTER, 1, 1);
    qcow2_counting_finish(&f.counting);
    expect_counts(&f, expected, 4);
    g_assert_true(qcow2_region_reportable(&f.counting, CLUSTER, 1));
    g_assert_true(qcow2_region_reportable(&f.counting, 2 * CLUSTER, 2 * CLUSTER));
    g_assert_false(qcow2_region_reportable(&f.counting, 3 * CLUSTER, CLUSTER));

    for (int i = 0; i < 3; i++) {
        report(&f, CLUSTER, 2 * CLUSTER);
    }
    g_assert_cmpuint(f.messages.report.corruptions, ==, 0);
    report(&f, 2 * CLUSTER, 2 * CLUSTER);
    report(&f, CLUSTER, 1);
    g_assert_cmpuint(f.messages.report.corruptions, ==, 2);
    messages_end(&f.messages);
    g_assert_true(g_str_has_prefix(f.messages.text, "ERROR: overflow cluster offset=0x20000\nUse qemu-img amend"));
    g_assert_nonnull(strstr(f.messages.text, "\nERROR: overflow cluster offset=0x10000\nUse qemu-img amend"));
}

/* With counts of one bit, a second reference is one too many; with 64 bits none ever is. */
static void test_overflow_widths(void)
{
    g_auto(Fixture) narrow = {0};
    g_auto(Fixture) wide = {0};

    fixture_begin(&narrow, 0, 4 * CLUSTER);
    count(&narrow, 0, CLUSTER, 2);
    qcow2_counting_finish(&narrow.counting);
    g_assert_true(qcow2_region_reportable(&narrow.counting, 0, CLUSTER));
    g_assert_cmpuint(refmap_get(narrow.counting.refs, 0), ==, 1);
    messages_end(&narrow.messages);

    fixture_begin(&wide, 6, 4 * CLUSTER);
    count(&wide, 0, CLUSTER, UINT64_MAX);
    qcow2_counting_finish(&wide.counting);
    g_assert_false(qcow2_region_reportable(&wide.counting, 0, CLUSTER));
    g_assert_cmphex(refmap_get(wide.counting.refs, 0), ==, UINT64_MAX);
    messages_end(&wide.messages);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/count/file-end", test_file_end);
    g_test_add_func("/count/regions", test_regions);
    g_test_add_func("/count/empty-regions", test_empty_regions);
    g_test_add_func("/count/beyond-end", test_beyond_end);
    g_test_add_func("/count/beyond-end-uncounted", test_beyond_end_uncounted);
    g_test_add_func("/count/growing", test_growing);
    g_test_add_func("/count/greatest", test_greatest);
    g_test_add_func("/count/overflow", test_overflow);
    g_test_add_func("/count/overflow-widths", test_overflow_widths);
    return g_test_run();
}
