/*
 * The words of every finding, and what it counts as (docs/interop/check-behaviour.rst 3.1 to 4.2, the texts without
 * -r).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "messages.h"

enum { NOTHING, CORRUPTION, LEAK, ERROR };

static const struct {
    ImageCheckFindingKind kind;
    int counts;
    uint64_t values[3];
    const char *texts[2];
    const char *message;
} cases[] = {
    /* 3.1 */
    {QCOW2_FINDING_SNAPSHOTS_TOO_MANY,
     ERROR,
     {34},
     {0},
     "qemu-img: ERROR snapshot table too large\n"
     "You can force-remove all 34 overhanging snapshots with qemu-img check -r all\n"},
    {QCOW2_FINDING_SNAPSHOT_TABLE_UNALIGNED, ERROR, {0}, {0}, "qemu-img: ERROR snapshot table offset invalid\n"},
    {QCOW2_FINDING_SNAPSHOT_EXTRA_TOO_LARGE,
     ERROR,
     {10},
     {0},
     "qemu-img: ERROR failed to read the snapshot table: Too much extra metadata in snapshot table entry 10\n"
     "You can force-remove this extra metadata with qemu-img check -r all\n"},
    {QCOW2_FINDING_SNAPSHOT_TABLE_TOO_BIG,
     ERROR,
     {65500},
     {0},
     "qemu-img: ERROR failed to read the snapshot table: Snapshot table is too big\n"
     "You can force-remove all 65500 overhanging snapshots with qemu-img check -r all\n"},
    {QCOW2_FINDING_SNAPSHOT_TABLE_UNREADABLE,
     ERROR,
     {0},
     {"Input/output error"},
     "qemu-img: ERROR failed to read the snapshot table: Failed to read snapshot table: Input/output error\n"},
    {QCOW2_FINDING_SNAPSHOT_INCOMPLETE, CORRUPTION, {0}, {0}, "ERROR snapshot table entry 0 is incomplete\n"},
    /* 3.2 */
    {QCOW2_FINDING_REGION_BEYOND_END,
     CORRUPTION,
     {0xfffffffff0000, 0x10000},
     {0},
     "ERROR: counting reference for region exceeding the end of the file by one cluster or more: "
     "offset 0xfffffffff0000 size 0x10000\n"},
    {QCOW2_FINDING_REFCOUNT_OVERFLOW,
     CORRUPTION,
     {0x50000},
     {0},
     "ERROR: overflow cluster offset=0x50000\n"
     "Use qemu-img amend to increase the refcount entry width or qemu-img convert to create a clean copy if the "
     "image cannot be opened for writing\n"},
    {QCOW2_FINDING_REFCOUNT_OVERFLOW,
     CORRUPTION,
     {0},
     {0},
     "ERROR: overflow cluster offset=0x0\n"
     "Use qemu-img amend to increase the refcount entry width or qemu-img convert to create a clean copy if the "
     "image cannot be opened for writing\n"},
    {QCOW2_FINDING_SNAPSHOTS_WITH_DATA_FILE, CORRUPTION, {2}, {0}, "ERROR 2 snapshots in image with data file\n"},
    {QCOW2_FINDING_SNAPSHOT_L1_UNALIGNED,
     CORRUPTION,
     {0x50010},
     {"1", "before upgrade"},
     "ERROR snapshot 1 (before upgrade) l1_offset=0x50010: L1 table is not cluster aligned; "
     "snapshot table entry corrupted\n"},
    {QCOW2_FINDING_SNAPSHOT_L1_TOO_LARGE,
     CORRUPTION,
     {0xffffffff},
     {"12", ""},
     "ERROR snapshot 12 () l1_size=0xffffffff: L1 table is too large; snapshot table entry corrupted\n"},
    /* 3.3 */
    {QCOW2_FINDING_L1_UNREADABLE, ERROR, {0}, {0}, "ERROR: I/O error in check_refcounts_l1\n"},
    {QCOW2_FINDING_L1_RESERVED_BITS,
     CORRUPTION,
     {UINT64_C(0x80000000000401ff)},
     {0},
     "ERROR found L1 entry with reserved bits set: 80000000000401ff\n"},
    {QCOW2_FINDING_L2_TABLE_UNALIGNED,
     CORRUPTION,
     {0x40200},
     {0},
     "ERROR l2_offset=40200: Table is not cluster aligned; L1 entry corrupted\n"},
    /* 3.4 */
    {QCOW2_FINDING_L2_UNREADABLE, ERROR, {0}, {0}, "ERROR: I/O error in check_refcounts_l2\n"},
    {QCOW2_FINDING_L2_RESERVED_BITS,
     CORRUPTION,
     {UINT64_C(0x3f000000000001fe)},
     {0},
     "ERROR found l2 entry with reserved bits set: 3f000000000001fe\n"},
    {QCOW2_FINDING_COMPRESSED_COPIED,
     CORRUPTION,
     {0x5009e},
     {0},
     "ERROR: coffset=0x5009e: copied flag must never be set for compressed clusters\n"},
    {QCOW2_FINDING_COMPRESSED_WITH_DATA_FILE,
     CORRUPTION,
     {8191, UINT64_C(0x400000000005009e)},
     {0},
     "ERROR compressed cluster 8191 with data file, entry=0x400000000005009e\n"},
    {QCOW2_FINDING_COMPRESSED_WITH_SUBCLUSTERS,
     CORRUPTION,
     {0, UINT64_C(0x400000000005009e)},
     {0},
     "ERROR compressed cluster 0 with non-zero subcluster allocation bitmap, entry=0x400000000005009e\n"},
    {QCOW2_FINDING_SUBCLUSTERS_CONTRADICT,
     CORRUPTION,
     {0xa0000},
     {0},
     "ERROR offset=a0000: Allocated cluster has corrupted subcluster allocation bitmap\n"},
    {QCOW2_FINDING_DATA_UNALIGNED,
     CORRUPTION,
     {0x50200},
     {0},
     "ERROR offset=50200: Data cluster is not properly aligned; L2 entry corrupted.\n"},
    {QCOW2_FINDING_PREALLOCATED_UNALIGNED,
     CORRUPTION,
     {0x50200},
     {0},
     "ERROR offset=50200: Preallocated cluster is not properly aligned; L2 entry corrupted.\n"},
    {QCOW2_FINDING_UNALLOCATED_WITH_SUBCLUSTERS,
     CORRUPTION,
     {0},
     {0},
     "ERROR: Unallocated cluster has non-zero subcluster allocation map\n"},
    {QCOW2_FINDING_L2_TABLES_OVERLAPPING,
     NOTHING,
     {5},
     {0},
     "5 unaligned L2 tables that overlap others were skipped.\n"},
    {QCOW2_FINDING_HEADER_EXTENSIONS_UNREADABLE,
     ERROR,
     {0x200},
     {"Input/output error"},
     "ERROR header extensions from 0x200 on: Input/output error; bitmaps and an encryption header may be missing\n"},
    {QCOW2_FINDING_REFCOUNT_TABLE_UNREADABLE,
     ERROR,
     {0x10000},
     {"Input/output error"},
     "ERROR refcount table at 0x10000: Input/output error; reference counts behind it are unknown\n"},
    /* 3.5 */
    {QCOW2_FINDING_REFCOUNT_TABLE_RESERVED_BITS,
     CORRUPTION,
     {1048575},
     {0},
     "ERROR refcount table entry 1048575 has reserved bits set\n"},
    {QCOW2_FINDING_REFCOUNT_BLOCK_UNALIGNED,
     CORRUPTION,
     {16},
     {0},
     "ERROR refcount block 16 is not cluster aligned; refcount table entry corrupted\n"},
    {QCOW2_FINDING_REFCOUNT_BLOCK_OUTSIDE, CORRUPTION, {16}, {0}, "ERROR refcount block 16 is outside image\n"},
    {QCOW2_FINDING_REFCOUNT_BLOCK_SHARED, CORRUPTION, {16, 10}, {0}, "ERROR refcount block 16 refcount=10\n"},
    /* 4.1 */
    {QCOW2_FINDING_REFCOUNT_BLOCK_CORRUPT,
     NOTHING,
     {0x20200, 0x1f},
     {0},
     "qcow2: Image is corrupt: Refblock offset 0x20200 unaligned (reftable index: 0x1f); "
     "further non-fatal corruption events will be suppressed\n"},
    {QCOW2_FINDING_REFCOUNT_BLOCK_CORRUPT,
     NOTHING,
     {0x20200, 0},
     {0},
     "qcow2: Image is corrupt: Refblock offset 0x20200 unaligned (reftable index: 0); "
     "further non-fatal corruption events will be suppressed\n"},
    {QCOW2_FINDING_REFCOUNT_UNREADABLE,
     ERROR,
     {32768},
     {"Input/output error"},
     "Can't get refcount for cluster 32768: Input/output error\n"},
    {QCOW2_FINDING_REFCOUNT_TOO_LOW, CORRUPTION, {5, 0, 1}, {0}, "ERROR cluster 5 refcount=0 reference=1\n"},
    {QCOW2_FINDING_REFCOUNT_TOO_LOW,
     CORRUPTION,
     {UINT64_MAX, UINT64_MAX - 1, UINT64_MAX},
     {0},
     "ERROR cluster 18446744073709551615 refcount=18446744073709551614 reference=18446744073709551615\n"},
    {QCOW2_FINDING_LEAK, LEAK, {5, 2, 1}, {0}, "Leaked cluster 5 refcount=2 reference=1\n"},
    /* 4.2 */
    {QCOW2_FINDING_L1_COPIED_WRONG,
     CORRUPTION,
     {10, 0x40000, 1},
     {0},
     "ERROR OFLAG_COPIED L2 cluster: l1_index=10 l1_entry=40000 refcount=1\n"},
    {QCOW2_FINDING_L2_COPIED_WRONG,
     CORRUPTION,
     {UINT64_C(0x8000000000050000), 20},
     {0},
     "ERROR OFLAG_COPIED data cluster: l2_entry=8000000000050000 refcount=20\n"},
};

/* Every finding has the stock tool's text, its numbers in the format of that text, and counts as what it is. */
static void test_cases(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        Qcow2Finding finding = {cases[i].kind,
                                {cases[i].values[0], cases[i].values[1], cases[i].values[2]},
                                {cases[i].texts[0], cases[i].texts[1]}};
        Messages m;

        messages_begin(&m);
        qcow2_report(&m.report, &finding);
        g_assert_cmpstr(messages_end(&m), ==, cases[i].message);
        g_assert_cmpuint(m.report.corruptions, ==, cases[i].counts == CORRUPTION);
        g_assert_cmpuint(m.report.leaks, ==, cases[i].counts == LEAK);
        g_assert_cmpuint(m.report.check_errors, ==, cases[i].counts == ERROR);
        messages_clear(&m);
    }
}

/* A number that is 0 is printed as a bare 0 where the text says so (3.2, step 4). */
static void test_bare_zero(void)
{
    Messages m;

    messages_begin(&m);
    qcow2_report(&m.report, &(Qcow2Finding){QCOW2_FINDING_SNAPSHOT_L1_UNALIGNED, {0}, {"1", "a"}});
    g_assert_cmpstr(messages_end(&m), ==,
                    "ERROR snapshot 1 (a) l1_offset=0: L1 table is not cluster aligned; snapshot table entry "
                    "corrupted\n");
    messages_clear(&m);
}

/* What an image has for a name cannot steer a terminal, nor be taken for a place to put a number. */
static void test_hostile_name(void)
{
    Messages m;

    messages_begin(&m);
    qcow2_report(&m.report, &(Qcow2Finding){QCOW2_FINDING_SNAPSHOT_L1_UNALIGNED, {0x10}, {"%s%d", "\x1b[2J\n"}});
    g_assert_cmpstr(messages_end(&m), ==,
                    "ERROR snapshot %s%d (\\x1b[2J\\x0a) l1_offset=0x10: L1 table is not cluster aligned; "
                    "snapshot table entry corrupted\n");
    messages_clear(&m);
}

/* Faults of bitmaps are corruptions, ones that hinder reading are errors, and all of them name what they are about
 * (contract 7). */
static void test_bitmaps(void)
{
    static const struct {
        ImageCheckFindingKind kind;
        bool error;
        uint64_t values[2];
        const char *texts[2];
        const char *parts[4];
    } bitmap_cases[] = {
        {QCOW2_FINDING_BITMAP_DIRECTORY_DAMAGED, false, {0x90000}, {"why"}, {"0x90000", "why"}},
        {QCOW2_FINDING_BITMAP_DIRECTORY_UNREADABLE, true, {0x90000}, {"why"}, {"0x90000", "why"}},
        {QCOW2_FINDING_BITMAP_DAMAGED, false, {0x90020}, {"b\n1", "why"}, {"0x90020", "b\\x0a1", "why"}},
        {QCOW2_FINDING_BITMAP_TABLE_UNREADABLE, true, {0xa0000}, {"b1"}, {"0xa0000", "b1"}},
        {QCOW2_FINDING_BITMAP_TABLE_ENTRY, false, {15, 0xb0001}, {"b1", "why"}, {" 15 ", "0xb0001", "b1", "why"}},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(bitmap_cases); i++) {
        Messages m;
        const char *text;

        messages_begin(&m);
        qcow2_report(&m.report, &(Qcow2Finding){bitmap_cases[i].kind,
                                                {bitmap_cases[i].values[0], bitmap_cases[i].values[1]},
                                                {bitmap_cases[i].texts[0], bitmap_cases[i].texts[1]}});
        text = messages_end(&m);
        for (size_t k = 0; k < 4 && bitmap_cases[i].parts[k]; k++) {
            g_assert_nonnull(strstr(text, bitmap_cases[i].parts[k]));
        }
        g_assert_true(strchr(text, '\n') == text + m.size - 1);
        g_assert_cmpuint(m.report.corruptions, ==, !bitmap_cases[i].error);
        g_assert_cmpuint(m.report.check_errors, ==, bitmap_cases[i].error);
        messages_clear(&m);
    }
}

/* Without a place for messages, findings are counted all the same. */
static void test_quiet(void)
{
    Qcow2Report report = {0};

    qcow2_report(&report, &(Qcow2Finding){QCOW2_FINDING_LEAK, {1, 1, 0}});
    qcow2_report(&report, &(Qcow2Finding){QCOW2_FINDING_LEAK, {2, 1, 0}});
    qcow2_report(&report, &(Qcow2Finding){QCOW2_FINDING_L1_UNREADABLE});
    g_assert_cmpuint(report.leaks, ==, 2);
    g_assert_cmpuint(report.check_errors, ==, 1);
    g_assert_cmpuint(report.corruptions, ==, 0);
}

static Qcow2Finding leak(uint64_t cluster)
{
    return (Qcow2Finding){QCOW2_FINDING_LEAK, {cluster, 7, 0}, .location = {.cluster_size = 65536}};
}

/* Findings of clusters in a row have a line each, whatever digits their numbers have. */
static void test_clusters(void)
{
    Qcow2Finding first = leak(8), far = leak(UINT64_C(99999999999));
    Messages m;

    messages_begin(&m);
    qcow2_report_clusters(&m.report, &first, 4);
    m.report.repairing = QCOW2_FINDING_BIT(QCOW2_FINDING_LEAK);
    qcow2_report_clusters(&m.report, &far, 2);
    qcow2_report_clusters(&m.report, &first, 0);
    g_assert_cmpstr(messages_end(&m), ==,
                    "Leaked cluster 8 refcount=7 reference=0\n"
                    "Leaked cluster 9 refcount=7 reference=0\n"
                    "Leaked cluster 10 refcount=7 reference=0\n"
                    "Leaked cluster 11 refcount=7 reference=0\n"
                    "Repairing cluster 99999999999 refcount=7 reference=0\n"
                    "Repairing cluster 100000000000 refcount=7 reference=0\n");
    g_assert_cmpuint(m.report.leaks, ==, 6);
    messages_clear(&m);
}

/* Behind the last message, or the last that is examined, they are only counted. */
static void test_clusters_limited(void)
{
    Qcow2Finding first = leak(1);
    Messages m;

    messages_begin(&m);
    m.report.max_messages = 3;
    qcow2_report_clusters(&m.report, &first, 2);
    qcow2_report_clusters(&m.report, &first, 1000);
    g_assert_cmpstr(messages_end(&m), ==,
                    "Leaked cluster 1 refcount=7 reference=0\n"
                    "Leaked cluster 2 refcount=7 reference=0\n"
                    "Leaked cluster 1 refcount=7 reference=0\n");
    g_assert_cmpuint(m.report.leaks, ==, 1002);
    g_assert_cmpuint(m.report.left_out[QCOW2_FINDING_LEAK], ==, 999);
    messages_clear(&m);
}

/* The same where references that had nothing to report have used up most of the limit. */
static void test_clusters_examined(void)
{
    Qcow2Finding first = leak(1);
    Qcow2Report report = {.max_messages = 2, .examined = 31};

    qcow2_report_clusters(&report, &first, 5);
    g_assert_cmpuint(report.written, ==, 1);
    g_assert_cmpuint(report.leaks, ==, 5);
    g_assert_cmpuint(report.left_out[QCOW2_FINDING_LEAK], ==, 4);
}

/* A name of a thousand bytes is in the message as a whole, in a file and as a text. */
static void test_long_name(void)
{
    g_autofree char *name = g_strnfill(1023, 'n');
    g_autofree char *expected = g_strdup_printf("ERROR bitmap '%s': I/O error in its table at 0x50000", name);
    g_autofree char *line = g_strconcat(expected, "\n", NULL);
    Qcow2Finding finding = {QCOW2_FINDING_BITMAP_TABLE_UNREADABLE, {0x50000}, {name}};
    g_autofree char *text = qcow2_finding_message(&finding);
    Messages m;

    g_assert_cmpstr(text, ==, expected);
    messages_begin(&m);
    qcow2_report(&m.report, &finding);
    g_assert_cmpstr(messages_end(&m), ==, line);
    messages_clear(&m);
}

/* A message with a long name counts as several, so that a limit of messages is one of bytes, too. */
static void test_long_name_limited(void)
{
    g_autofree char *name = g_strnfill(1023, '\x01'); /* 4092 bytes when it is escaped: a message as long as nine */
    Qcow2Finding finding = {QCOW2_FINDING_BITMAP_TABLE_UNREADABLE, {0x50000}, {name}};
    Messages m;

    messages_begin(&m);
    m.report.max_messages = 100;
    for (unsigned i = 0; i < 50; i++) {
        qcow2_report(&m.report, &finding);
    }
    messages_end(&m);
    g_assert_cmpuint(m.size, <, 100 * 512);
    g_assert_cmpuint(m.size, >, 90 * 512 - 4092);
    g_assert_cmpuint(m.report.check_errors, ==, 50);
    g_assert_cmpuint(m.report.left_out[QCOW2_FINDING_BITMAP_TABLE_UNREADABLE], ==, 50 - 12);
    messages_clear(&m);
}

/* Of several failures the first is the one that is told. */
static void test_failure(void)
{
    Qcow2Report report = {0};

    qcow2_report_failure(&report, EFBIG);
    qcow2_report_failure(&report, EIO);
    g_assert_cmpint(report.failure, ==, EFBIG);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_set_prgname("qemu-img");
    g_test_add_func("/findings/cases", test_cases);
    g_test_add_func("/findings/bare-zero", test_bare_zero);
    g_test_add_func("/findings/hostile-name", test_hostile_name);
    g_test_add_func("/findings/long-name", test_long_name);
    g_test_add_func("/findings/long-name-limited", test_long_name_limited);
    g_test_add_func("/findings/clusters", test_clusters);
    g_test_add_func("/findings/clusters-limited", test_clusters_limited);
    g_test_add_func("/findings/clusters-examined", test_clusters_examined);
    g_test_add_func("/findings/bitmaps", test_bitmaps);
    g_test_add_func("/findings/quiet", test_quiet);
    g_test_add_func("/findings/failure", test_failure);
    return g_test_run();
}
