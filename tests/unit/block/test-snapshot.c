/*
 * The snapshot table (docs/interop/check-behaviour.rst 3.1, docs/interop/qcow2-format.rst 9).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/load/snapshot-table.h"
#include "bytes.h"
#include "faults.h"
#include "messages.h"

#define CLUSTER 512
#define TABLE   1024 /* where the table begins */

typedef struct Fixture {
    uint8_t bytes[65536];
    uint64_t at; /* of the next entry */
    Qcow2HeaderFields header;
    uint64_t bad, bad_size; /* what cannot be read */
    Qcow2Snapshots snapshots;
    Messages messages;
} Fixture;

static void fixture_begin(Fixture *f)
{
    f->at = TABLE;
    f->header =
        (Qcow2HeaderFields){.version = 3, .cluster_bits = 9, .cluster_size = CLUSTER, .snapshots_offset = TABLE};
    messages_begin(&f->messages);
}

static void fixture_clear(Fixture *f)
{
    qcow2_snapshots_clear(&f->snapshots);
    messages_clear(&f->messages);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Fixture, fixture_clear)

/* Adds an entry behind the others, aligned to 8. */
static void add(Fixture *f, uint64_t l1_offset, uint32_t l1_size, uint32_t extra, const char *id, const char *name)
{
    uint8_t *entry = f->bytes + (f->at = (f->at + 7) / 8 * 8);

    put_be64(entry, l1_offset);
    put_be32(entry + 8, l1_size);
    put_be16(entry + 12, (uint16_t)strlen(id));
    put_be16(entry + 14, (uint16_t)strlen(name));
    put_be32(entry + 36, extra);
    memcpy(entry + 40 + extra, id, strlen(id));
    memcpy(entry + 40 + extra + strlen(id), name, strlen(name));
    f->at += 40 + extra + strlen(id) + strlen(name);
    f->header.nb_snapshots++;
}

static void read_table(Fixture *f)
{
    FaultySource source = faulty_source(f->bytes, sizeof(f->bytes), f->bad, f->bad_size);

    qcow2_read_snapshots(&source.base, &f->header, &f->snapshots, &f->messages.report);
    messages_end(&f->messages);
}

static const Qcow2Snapshot *snapshot(const Fixture *f, unsigned i)
{
    g_assert_cmpuint(i, <, f->snapshots.items->len);
    return &g_array_index(f->snapshots.items, Qcow2Snapshot, i);
}

static void expect(const Fixture *f, unsigned n, uint64_t length, const char *messages)
{
    g_assert_cmpuint(f->snapshots.items->len, ==, n);
    g_assert_cmpuint(f->snapshots.table_length, ==, length);
    g_assert_cmpstr(f->messages.text, ==, messages);
}

/* Without snapshots there is no table, and nothing to say. */
static void test_none(void)
{
    g_auto(Fixture) f = {0};

    fixture_begin(&f);
    read_table(&f);
    expect(&f, 0, 0, "");
}

/* Entries are aligned to 8, and the table ends with the last name, without padding. */
static void test_entries(void)
{
    g_auto(Fixture) f = {0};

    fixture_begin(&f);
    add(&f, 0x4000, 7, 24, "1", "first");
    add(&f, 0x8000, 9, 16, "22", "caf\xc3\xa9");
    add(&f, 0, 0, 1024, "", "");
    read_table(&f);
    /* 40 + 24 + 6 = 70, to 72; + 40 + 16 + 7 = 135, to 136; + 40 + 1024 = 1200 */
    expect(&f, 3, 1200, "");
    g_assert_cmphex(snapshot(&f, 0)->l1_table_offset, ==, 0x4000);
    g_assert_cmpuint(snapshot(&f, 0)->l1_size, ==, 7);
    g_assert_cmpstr(snapshot(&f, 0)->id, ==, "1");
    g_assert_cmpstr(snapshot(&f, 0)->name, ==, "first");
    g_assert_cmphex(snapshot(&f, 1)->l1_table_offset, ==, 0x8000);
    g_assert_cmpstr(snapshot(&f, 1)->id, ==, "22");
    g_assert_cmpstr(snapshot(&f, 1)->name, ==, "caf\xc3\xa9");
    g_assert_cmpuint(snapshot(&f, 2)->extra_data_size, ==, 1024);
    g_assert_cmpstr(snapshot(&f, 2)->name, ==, "");
    g_assert_cmpint(f.messages.report.failure, ==, 0);
}

/* Version 3 requires 16 bytes of extra data in each entry (3.1, item 3); version 2 requires none. */
static void test_incomplete(void)
{
    for (unsigned version = 2; version <= 3; version++) {
        g_auto(Fixture) f = {0};

        fixture_begin(&f);
        f.header.version = version;
        add(&f, 0x4000, 1, 0, "1", "a");
        add(&f, 0x4000, 1, 16, "2", "b");
        add(&f, 0x4000, 1, 15, "3", "c");
        read_table(&f);
        g_assert_cmpuint(f.snapshots.items->len, ==, 3);
        g_assert_cmpstr(f.messages.text, ==,
                        version == 2 ? ""
                                     : "ERROR snapshot table entry 0 is incomplete\n"
                                       "ERROR snapshot table entry 2 is incomplete\n");
        g_assert_cmpuint(f.messages.report.corruptions, ==, version == 2 ? 0 : 2);
    }
}

/* The table must begin with a cluster, even when it has no entries (3.1, item 1). */
static void test_unaligned(void)
{
    for (unsigned n = 0; n < 2; n++) {
        g_auto(Fixture) f = {0};

        fixture_begin(&f);
        f.header.snapshots_offset = TABLE + 8;
        f.header.nb_snapshots = n;
        read_table(&f);
        expect(&f, 0, 0, "qemu-img: ERROR snapshot table offset invalid\n");
        g_assert_cmpuint(f.messages.report.check_errors, ==, 1);
        g_assert_cmpint(f.messages.report.failure, ==, EINVAL);
    }
}

/* More snapshots than 65536 are too many; the finding has the excess (3.1, item 1). */
static void test_too_many(void)
{
    g_auto(Fixture) f = {0};

    fixture_begin(&f);
    f.header.nb_snapshots = 65536 + 34;
    read_table(&f);
    g_assert_cmpstr(f.messages.text, ==,
                    "qemu-img: ERROR snapshot table too large\n"
                    "You can force-remove all 34 overhanging snapshots with qemu-img check -r all\n");
    g_assert_cmpuint(f.messages.report.check_errors, ==, 1);
    g_assert_cmpint(f.messages.report.failure, ==, EFBIG);
}

/* Too many snapshots do not hide those that can be believed (contract 7: found up to then and beyond). */
static void test_too_many_believed(void)
{
    g_auto(Fixture) f = {0};

    fixture_begin(&f);
    add(&f, 0x4000, 1, 16, "1", "a");
    add(&f, 0x4200, 1, 16, "2", "b");
    f.header.nb_snapshots = UINT32_MAX;
    read_table(&f);
    g_assert_cmpuint(f.snapshots.items->len, ==, 2);
}

/* Of too many, those up to the last sound one are read: with an L1 table, or without one and with an ID. */
static void test_too_many_and_damaged(void)
{
    g_auto(Fixture) f = {0};

    fixture_begin(&f);
    add(&f, 0x4000, 1, 16, "1", "a");
    add(&f, 0x4001, 1, 16, "2", "unaligned");
    add(&f, 0, 0, 16, "3", "of no disk");
    add(&f, 0, 1, 16, "4", "without its L1 table");
    f.header.nb_snapshots = 65537;
    read_table(&f);
    g_assert_cmpuint(f.snapshots.items->len, ==, 3);
    g_assert_cmpstr(snapshot(&f, 1)->name, ==, "unaligned");
    g_assert_cmpuint(f.snapshots.table_length, ==, 64 + 72 + 67); /* 40 + 16 + 2, + 10, + 11 bytes, aligned to 8 */
}

/* An entry without an L1 table has lost it if its disk has bytes: those of its extra data, else those of the image. */
static void test_lost_tree(void)
{
    static const struct {
        uint64_t l1_offset;
        uint32_t extra;
        uint64_t disk, image;
        bool lost;
    } rows[] = {
        {0x4000, 16, 4096, 4096, false}, {0, 16, 0, 4096, false}, {0, 16, 4096, 0, true},
        {0, 8, 0, 4096, true},           {0, 0, 0, 0, false},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_auto(Fixture) f = {0};

        fixture_begin(&f);
        f.header.version = 2;
        f.header.size = rows[i].image;
        add(&f, rows[i].l1_offset, 0, rows[i].extra, "1", "a");
        if (rows[i].extra >= 16) {
            put_be64(f.bytes + TABLE + 48, rows[i].disk);
        }
        read_table(&f);
        g_assert_cmpint(snapshot(&f, 0)->lost_tree, ==, rows[i].lost);
    }
}

/* Faults are called repaired where all of the table's can be; else they are errors, without the advice to repair. */
static void test_repaired_together(void)
{
    for (unsigned damaged = 0; damaged < 2; damaged++) {
        g_auto(Fixture) f = {0};

        fixture_begin(&f);
        f.messages.report.repairing = QCOW2_SNAPSHOT_TABLE_FAULTS;
        f.messages.report.no_advice = true;
        add(&f, 0x4000, 1, 0, "1", "a");
        add(&f, 0x4000, 1, 16, "2", "b");
        put_be32(f.bytes + TABLE + 48 + 36, 1025); /* the entry behind 40 + 2 bytes, aligned to 8 */
        if (!damaged) {
            add(&f, 0x4000, 1, 16, "3", "c");
        } else {
            f.header.nb_snapshots = 3;
        }
        read_table(&f);
        g_assert_cmpstr(f.messages.text, ==,
                        damaged
                            ? "qemu-img: ERROR failed to read the snapshot table: Too much extra metadata in snapshot "
                              "table entry 1\n"
                              "ERROR snapshot table entry 0 is incomplete\n"
                            : "Discarding too much extra metadata in snapshot table entry 1 (1025 > 1024)\n"
                              "Repairing snapshot table entry 0 is incomplete\n");
    }
}

/* Extra data of more than 1024 bytes is an error (3.1, item 2); the ID is behind all of it. */
static void test_extra_too_large(void)
{
    g_auto(Fixture) f = {0};

    fixture_begin(&f);
    add(&f, 0x4000, 1, 16, "1", "a");
    add(&f, 0x4000, 1, 1025, "2", "b");
    read_table(&f);
    g_assert_cmpstr(f.messages.text, ==,
                    "qemu-img: ERROR failed to read the snapshot table: Too much extra metadata in snapshot table "
                    "entry 1\n"
                    "You can force-remove this extra metadata with qemu-img check -r all\n");
    g_assert_cmpint(f.messages.report.failure, ==, EFBIG);
    g_assert_cmpuint(f.messages.report.check_errors, ==, 1);
    g_assert_cmpuint(f.snapshots.items->len, ==, 2);
    g_assert_cmpstr(snapshot(&f, 0)->name, ==, "a");
    g_assert_cmpstr(snapshot(&f, 1)->name, ==, "b");
}

/* An entry that reaches more than 2^31 - 1 bytes past the table's beginning is too big (3.1, item 2). */
static void test_too_big(void)
{
    g_auto(Fixture) f = {0};

    fixture_begin(&f);
    add(&f, 0x4000, 1, 16, "1", "a");
    put_be32(f.bytes + f.at + 6 + 36, 0xfffffff0); /* the next entry, six bytes of padding behind */
    f.header.nb_snapshots = 12;
    read_table(&f);
    g_assert_cmpuint(f.snapshots.items->len, ==, 1);
    g_assert_cmpuint(f.snapshots.table_length, ==, 58);
    g_assert_cmpint(f.messages.report.failure, ==, EFBIG);
    g_assert_cmpuint(f.messages.report.check_errors, >=, 1);
}

/* A table that cannot be read is an error, and what was read before it stays. */
static void test_unreadable(void)
{
    g_auto(Fixture) f = {0};

    fixture_begin(&f);
    f.bad = TABLE;
    f.bad_size = 512;
    add(&f, 0x4000, 1, 16, "1", "a");
    read_table(&f);
    expect(&f, 0, 0,
           "qemu-img: ERROR failed to read the snapshot table: Failed to read snapshot table: Input/output error\n");
    g_assert_cmpuint(f.messages.report.check_errors, ==, 1);
    g_assert_cmpint(f.messages.report.failure, ==, EIO);
}

/* Bytes behind the table are not the table's: that they cannot be read is no matter. */
static void test_unreadable_behind(void)
{
    g_auto(Fixture) f = {0};

    fixture_begin(&f);
    f.bad = TABLE + 4096;
    f.bad_size = 512;
    add(&f, 0x4000, 1, 16, "1", "a");
    read_table(&f);
    expect(&f, 1, 58, "");
}

/* A table behind the end of the file is one of zeros (2.7), even at the highest offset that can be read. */
static void test_beyond_end(void)
{
    static const uint64_t offsets[] = {UINT64_C(1) << 40, UINT64_C(0x7fffffffbffffe00)};

    for (size_t i = 0; i < G_N_ELEMENTS(offsets); i++) {
        g_auto(Fixture) f = {0};

        fixture_begin(&f);
        f.header.version = 2;
        f.header.snapshots_offset = offsets[i];
        f.header.nb_snapshots = 2;
        read_table(&f);
        expect(&f, 2, 80, "");
        g_assert_cmpstr(snapshot(&f, 1)->id, ==, "");
    }
}

/* An L1 table can be followed when it is aligned and has no more than 4194304 entries (3.2, item 4). */
static void test_l1_valid(void)
{
    static const struct {
        uint64_t offset;
        uint32_t size;
        bool valid;
    } cases[] = {
        {0, 0, true},        {0x200, 1, true},           {0x208, 1, false},
        {0, 4194304, true},  {0, 4194305, false},        {UINT64_C(0xfffffffffffffe00), 1, true},
        {1, 4194305, false}, {0x200, UINT32_MAX, false},
    };
    Qcow2HeaderFields h = {.version = 3, .cluster_bits = 9, .cluster_size = CLUSTER};

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        Qcow2Snapshot s = {.l1_table_offset = cases[i].offset, .l1_size = cases[i].size};

        g_assert_true(qcow2_snapshot_l1_valid(&s, &h) == cases[i].valid);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_set_prgname("qemu-img");
    g_test_add_func("/snapshot/none", test_none);
    g_test_add_func("/snapshot/entries", test_entries);
    g_test_add_func("/snapshot/incomplete", test_incomplete);
    g_test_add_func("/snapshot/unaligned", test_unaligned);
    g_test_add_func("/snapshot/too-many", test_too_many);
    g_test_add_func("/snapshot/too-many-believed", test_too_many_believed);
    g_test_add_func("/snapshot/too-many-and-damaged", test_too_many_and_damaged);
    g_test_add_func("/snapshot/lost-tree", test_lost_tree);
    g_test_add_func("/snapshot/repaired-together", test_repaired_together);
    g_test_add_func("/snapshot/extra-too-large", test_extra_too_large);
    g_test_add_func("/snapshot/too-big", test_too_big);
    g_test_add_func("/snapshot/unreadable", test_unreadable);
    g_test_add_func("/snapshot/unreadable-behind", test_unreadable_behind);
    g_test_add_func("/snapshot/beyond-end", test_beyond_end);
    g_test_add_func("/snapshot/l1-valid", test_l1_valid);
    return g_test_run();
}
