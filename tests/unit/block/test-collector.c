/*
 * Collecting findings: what becomes one record, and that nothing is lost.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>

#include "block/limits.h"
#include "block/qcow2/findings/collector.h"

#define CLUSTER UINT64_C(0x10000)

static Qcow2Finding leak(uint64_t cluster, uint64_t refcount)
{
    Qcow2Location location = qcow2_location_range(IMAGE_CHECK_STRUCTURE_NONE, cluster * CLUSTER, CLUSTER);

    location.has_refcount = location.has_reference = true;
    location.refcount = refcount;
    return (Qcow2Finding){QCOW2_FINDING_LEAK, {cluster, refcount, 0}, .location = location};
}

/* The fault @kind of L2 entry @index, which maps the guest's cluster of that number to @cluster. */
static Qcow2Finding l2_fault(ImageCheckFindingKind kind, uint64_t index, uint64_t cluster)
{
    Qcow2Location location = qcow2_location(IMAGE_CHECK_STRUCTURE_L2, 0x40000 + index * 8, cluster * CLUSTER, CLUSTER);

    location.guest_offset = index * CLUSTER;
    location.guest_size = CLUSTER;
    return (Qcow2Finding){kind, {cluster}, .location = location};
}

static void add(Qcow2Collector *c, Qcow2Finding finding)
{
    qcow2_collector_add(c, &finding);
}

static Qcow2FindingRecord record(Qcow2Collector *c, guint i)
{
    return qcow2_finding_records_at(qcow2_collector_records(c), i);
}

static void expect_message(Qcow2Collector *c, guint i, const char *message)
{
    Qcow2FindingRecord r = record(c, i);
    char room[QCOW2_USUAL_MESSAGE];

    g_assert_cmpstr(qcow2_finding_record_message(&r, room), ==, message);
}

static void expect_records(Qcow2Collector *c, guint n)
{
    g_assert_cmpuint(qcow2_collector_records(c)->n, ==, n);
}

/* A million leaks in a row are one record, with the message of the first. */
static void test_row(void)
{
    g_autoptr(Qcow2Collector) c = qcow2_collector_new(LIMIT_FINDINGS, false);

    for (uint64_t i = 5; i < 1000005; i++) {
        add(c, leak(i, 1));
    }
    expect_records(c, 1);
    g_assert_cmpuint(record(c, 0).count, ==, 1000000);
    g_assert_cmphex(record(c, 0).location.cluster_offset, ==, 0x50000);
    g_assert_cmphex(record(c, 0).location.cluster_size, ==, 1000000 * CLUSTER);
    expect_message(c, 0, "Leaked cluster 5 refcount=1 reference=0");
}

/* A gap ends a record. */
static void test_gap(void)
{
    g_autoptr(Qcow2Collector) c = qcow2_collector_new(LIMIT_FINDINGS, false);

    add(c, leak(5, 1));
    add(c, leak(7, 1));
    add(c, leak(8, 1));
    expect_records(c, 2);
    g_assert_cmpuint(record(c, 0).count, ==, 1);
    g_assert_cmpuint(record(c, 1).count, ==, 2);
}

/* Clusters that differ in their counts are different findings. */
static void test_other_refcount(void)
{
    g_autoptr(Qcow2Collector) c = qcow2_collector_new(LIMIT_FINDINGS, false);

    add(c, leak(5, 1));
    add(c, leak(6, 2));
    add(c, leak(7, 2));
    expect_records(c, 2);
    g_assert_cmpuint(record(c, 0).location.refcount, ==, 1);
    g_assert_cmpuint(record(c, 1).location.refcount, ==, 2);
}

/* Faults of two kinds that take turns, entry by entry, are two records all the same. */
static void test_taking_turns(void)
{
    g_autoptr(Qcow2Collector) c = qcow2_collector_new(LIMIT_FINDINGS, false);

    for (uint64_t i = 0; i < 1000; i++) {
        add(c, l2_fault(QCOW2_FINDING_L2_RESERVED_BITS, i, 100 + i));
        add(c, l2_fault(QCOW2_FINDING_DATA_UNALIGNED, i, 100 + i));
    }
    expect_records(c, 2);
    g_assert_cmpuint(record(c, 0).count, ==, 1000);
    g_assert_cmpuint(record(c, 1).count, ==, 1000);
    g_assert_cmphex(record(c, 1).location.entry_offset, ==, 0x40000);
    g_assert_cmphex(record(c, 1).location.guest_size, ==, 1000 * CLUSTER);
}

/* Entries in a row with one value are one record, whose range of the file is what each names; then it is another. */
static void test_same_value(void)
{
    g_autoptr(Qcow2Collector) c = qcow2_collector_new(LIMIT_FINDINGS, false);

    for (uint64_t i = 0; i < 1000; i++) {
        add(c, l2_fault(QCOW2_FINDING_L2_RESERVED_BITS, i, 77));
    }
    add(c, l2_fault(QCOW2_FINDING_L2_RESERVED_BITS, 1000, 78));
    add(c, l2_fault(QCOW2_FINDING_L2_RESERVED_BITS, 1002, 78));
    expect_records(c, 3);
    g_assert_cmpuint(record(c, 0).count, ==, 1000);
    g_assert_cmphex(record(c, 0).location.cluster_offset, ==, 77 * CLUSTER);
    g_assert_cmphex(record(c, 0).location.cluster_size, ==, CLUSTER);
    g_assert_cmphex(record(c, 0).location.guest_size, ==, 1000 * CLUSTER);
    g_assert_cmpuint(record(c, 1).count, ==, 1);
}

/* Two rows of clusters that are far from each other, and are met in turns. */
static void test_interleaved_rows(void)
{
    g_autoptr(Qcow2Collector) c = qcow2_collector_new(LIMIT_FINDINGS, false);

    for (uint64_t i = 0; i < 1000; i++) {
        add(c, leak(i, 1));
        add(c, leak(50000 + i, 1));
    }
    expect_records(c, 2);
}

/* Clusters that follow one another, but not on the guest's disk, are two findings, and so are those the other way. */
static void test_guest_gap(void)
{
    g_autoptr(Qcow2Collector) c = qcow2_collector_new(LIMIT_FINDINGS, false);

    add(c, l2_fault(QCOW2_FINDING_L2_RESERVED_BITS, 0, 100));
    add(c, l2_fault(QCOW2_FINDING_L2_RESERVED_BITS, 5, 101));
    add(c, l2_fault(QCOW2_FINDING_L2_RESERVED_BITS, 6, 300));
    expect_records(c, 3);
}

/* The same fault in the trees of two snapshots is two findings, each of which names its own. */
static void test_snapshots(void)
{
    g_autoptr(Qcow2Collector) c = qcow2_collector_new(LIMIT_FINDINGS, false);
    Qcow2Finding f = l2_fault(QCOW2_FINDING_L2_RESERVED_BITS, 0, 100);

    f.location.snapshot = "one";
    add(c, f);
    f.location.snapshot = "two";
    add(c, f);
    expect_records(c, 2);
    g_assert_cmpstr(record(c, 1).location.snapshot, ==, "two");
}

/* A table that an L1 table names twice for the same place has its faults twice: one finding that counts as two. */
static void test_repeated(void)
{
    g_autoptr(Qcow2Collector) c = qcow2_collector_new(LIMIT_FINDINGS, false);

    add(c, l2_fault(QCOW2_FINDING_L2_RESERVED_BITS, 3, 100));
    add(c, l2_fault(QCOW2_FINDING_L2_RESERVED_BITS, 3, 100));
    expect_records(c, 1);
    g_assert_cmpuint(record(c, 0).count, ==, 2);
    g_assert_cmphex(record(c, 0).location.cluster_size, ==, CLUSTER);
}

static QapiSequence finish(Qcow2Collector *c)
{
    return qcow2_finding_records_show(qcow2_collector_finish(c));
}

static int64_t sum(const QapiSequence *findings, ImageCheckSeverity severity)
{
    g_auto(QapiIterator) each = qapi_iterate(findings);
    int64_t total = 0;

    for (const ImageCheckFinding *f; (f = qapi_next(&each));) {
        total += f->severity == severity ? f->count : 0;
    }
    return total;
}

/* Moves @each on, past @skipped findings. */
static const ImageCheckFinding *next(QapiIterator *each, unsigned skipped)
{
    const ImageCheckFinding *f;

    do {
        f = qapi_next(each);
        g_assert_nonnull(f);
    } while (skipped--);
    return f;
}

/* Beyond the limit nothing is listed, but everything is counted, a finding for each kind. */
static void test_limit(void)
{
    g_autoptr(Qcow2Collector) c = qcow2_collector_new(10, false);
    g_auto(QapiSequence) list = {0};
    g_auto(QapiIterator) each = {0};
    const ImageCheckFinding *f;

    for (uint64_t i = 0; i < 1000; i++) {
        add(c, leak(2 * i, 1));
        add(c, l2_fault(QCOW2_FINDING_DATA_UNALIGNED, 2 * i, 3 * i));
    }
    /* what continues a record that is there does so */
    add(c, l2_fault(QCOW2_FINDING_DATA_UNALIGNED, 9, 13));
    list = finish(c);
    each = qapi_iterate(&list);
    g_assert_cmpuint(list.len, ==, 12);
    g_assert_cmpint(sum(&list, IMAGE_CHECK_SEVERITY_LEAK), ==, 1000);
    g_assert_cmpint(sum(&list, IMAGE_CHECK_SEVERITY_CORRUPTION), ==, 1001);
    g_assert_cmpint(next(&each, 9)->count, ==, 2);
    f = next(&each, 0);
    g_assert_cmpint(f->kind, ==, QCOW2_FINDING_DATA_UNALIGNED);
    g_assert_cmpint(f->count, ==, 995);
    g_assert_cmpstr(f->message, ==, "995 more findings of this kind are not listed");
    g_assert_false(f->has_entry_offset);
    g_assert_null(f->cluster);
}

/* Who wants corruptions alone gets no others, listed or not. */
static void test_only_corruptions(void)
{
    g_autoptr(Qcow2Collector) c = qcow2_collector_new(10, true);
    g_auto(QapiSequence) list = {0};
    g_auto(QapiIterator) each = {0};

    add(c, leak(5, 1));
    add(c, l2_fault(QCOW2_FINDING_DATA_UNALIGNED, 2, 3));
    qcow2_collector_add_unlisted(c, QCOW2_FINDING_LEAK, 7);
    list = finish(c);
    each = qapi_iterate(&list);
    g_assert_cmpuint(list.len, ==, 1);
    g_assert_cmpint(next(&each, 0)->kind, ==, QCOW2_FINDING_DATA_UNALIGNED);
}

/* A note is listed, and counts nothing. */
static void test_note(void)
{
    g_autoptr(Qcow2Collector) c = qcow2_collector_new(10, false);
    g_auto(QapiSequence) list = {0};
    g_auto(QapiIterator) each = {0};
    const ImageCheckFinding *f;

    add(c, (Qcow2Finding){QCOW2_FINDING_DIRTY, .location = qcow2_location(IMAGE_CHECK_STRUCTURE_HEADER, 72, 0, 0)});
    list = finish(c);
    each = qapi_iterate(&list);
    f = next(&each, 0);
    g_assert_cmpuint(list.len, ==, 1);
    g_assert_cmpint(f->count, ==, 0);
    g_assert_cmpint(f->severity, ==, IMAGE_CHECK_SEVERITY_NOTE);
    g_assert_cmpuint(f->entry_offset, ==, 72);
}

/* What is not known is not there: optional members of the list are those that the place has. */
static void test_members(void)
{
    g_autoptr(Qcow2Collector) c = qcow2_collector_new(10, false);
    g_auto(QapiSequence) list = {0};
    g_auto(QapiIterator) each = {0};
    Qcow2Finding in_snapshot = l2_fault(QCOW2_FINDING_L2_RESERVED_BITS, 2, 7);
    const ImageCheckFinding *f;

    in_snapshot.location.snapshot = "s";
    add(c, in_snapshot);
    add(c, leak(9, 3));
    list = finish(c);
    each = qapi_iterate(&list);
    f = next(&each, 0);
    g_assert_cmpuint(f->entry_offset, ==, 0x40010);
    g_assert_cmphex(f->cluster->offset, ==, 0x70000);
    g_assert_cmphex(f->guest->offset, ==, 0x20000);
    g_assert_cmpstr(f->snapshot, ==, "s");
    g_assert_false(f->has_refcount);
    g_assert_false(f->has_other_users);
    f = next(&each, 0);
    g_assert_null(f->guest);
    g_assert_null(f->snapshot);
    g_assert_false(f->has_entry_offset);
    g_assert_cmpuint(f->refcount, ==, 3);
}

/* Counts of any size, and what a repair or another user adds to a record, are what they were when it is read. */
static void test_counts_of_any_size(void)
{
    static const uint64_t counts[] = {1, 255, 256, UINT16_MAX, UINT16_MAX + 1, UINT64_MAX};
    g_autoptr(Qcow2Collector) c = qcow2_collector_new(LIMIT_FINDINGS, false);
    Qcow2FindingRecord changed;

    for (guint i = 0; i < G_N_ELEMENTS(counts); i++) {
        Qcow2Finding finding = leak(2 * i + 1, counts[i]);

        finding.values[2] = finding.location.reference = counts[i] - 1;
        add(c, finding);
    }
    for (guint i = 0; i < G_N_ELEMENTS(counts); i++) {
        g_autofree char *message = g_strdup_printf("Leaked cluster %u refcount=%" PRIu64 " reference=%" PRIu64,
                                                   2 * i + 1, counts[i], counts[i] - 1);

        g_assert_cmpuint(record(c, i).location.refcount, ==, counts[i]);
        g_assert_cmpuint(record(c, i).location.reference, ==, counts[i] - 1);
        expect_message(c, i, message);
    }
    changed = record(c, 0);
    changed.shared = true;
    changed.location.snapshot = "one";
    qcow2_finding_records_set(qcow2_collector_records(c), 0, &changed);
    g_assert_true(record(c, 0).shared);
    g_assert_cmpstr(record(c, 0).location.snapshot, ==, "one");
    g_assert_false(record(c, 1).shared);
}

/* However many leaks there are, a record of them has a few bytes, and no text of its own. */
static void test_small_records(void)
{
    g_autoptr(Qcow2Collector) c = qcow2_collector_new(LIMIT_FINDINGS, false);

    for (uint64_t i = 0; i < 1000; i++) {
        add(c, leak(2 * i, 1));
    }
    expect_records(c, 1000);
    g_assert_cmpuint(qcow2_collector_records(c)->n_others, ==, 0);
    g_assert_cmpuint(sizeof(PackedRecord), ==, 24);
    g_assert_null(record(c, 999).message);
    expect_message(c, 999, "Leaked cluster 1998 refcount=1 reference=0");
}

/* However many findings there are, there is one object, and one copy of the name that they share. */
static void test_one_object(void)
{
    g_autoptr(Qcow2Collector) c = qcow2_collector_new(LIMIT_FINDINGS, false);
    g_auto(QapiSequence) list = {0};
    g_auto(QapiIterator) each = {0};
    Qcow2Finding in_snapshot = l2_fault(QCOW2_FINDING_L2_RESERVED_BITS, 0, 100);
    const ImageCheckFinding *first;
    const char *name;
    size_t n = 1;

    in_snapshot.location.snapshot = "s";
    for (uint64_t i = 0; i < 1000; i++) {
        in_snapshot.location.entry_offset += 24;
        add(c, in_snapshot);
    }
    list = finish(c);
    each = qapi_iterate(&list);
    first = next(&each, 0);
    name = first->snapshot;
    g_assert_true(name != in_snapshot.location.snapshot);
    for (const ImageCheckFinding *f; (f = qapi_next(&each)); n++) {
        g_assert_true(f == first);
        g_assert_true(f->snapshot == name);
        g_assert_cmphex(f->entry_offset, ==, 0x40000 + 24 * (n + 1));
    }
    g_assert_cmpuint(n, ==, 1000);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/collector/row", test_row);
    g_test_add_func("/collector/gap", test_gap);
    g_test_add_func("/collector/other-refcount", test_other_refcount);
    g_test_add_func("/collector/taking-turns", test_taking_turns);
    g_test_add_func("/collector/same-value", test_same_value);
    g_test_add_func("/collector/interleaved-rows", test_interleaved_rows);
    g_test_add_func("/collector/guest-gap", test_guest_gap);
    g_test_add_func("/collector/snapshots", test_snapshots);
    g_test_add_func("/collector/repeated", test_repeated);
    g_test_add_func("/collector/limit", test_limit);
    g_test_add_func("/collector/only-corruptions", test_only_corruptions);
    g_test_add_func("/collector/note", test_note);
    g_test_add_func("/collector/members", test_members);
    g_test_add_func("/collector/counts-of-any-size", test_counts_of_any_size);
    g_test_add_func("/collector/small-records", test_small_records);
    g_test_add_func("/collector/one-object", test_one_object);
    return g_test_run();
}
