/*
 * Repairs of an image in memory that cannot do all that they would: there is no room, something cannot be read, there
 * is more than may be. What is said of it, and what is on the disk then.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/repair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faults.h"
#include "small-image.h"
#include "util/number.h"

#define ROOM ((size_t)192 << 20)

typedef struct Repair {
    bool dry_run;
    UndoFile *undo; /* NULL: none */
    Qcow2CheckOptions check;
    Qcow2RepairResult result;
    char *text; /* messages */
    GError *error;
} Repair;

static void repair_clear(Repair *r)
{
    qcow2_repair_result_clear(&r->result);
    free(r->text);
    g_clear_error(&r->error);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Repair, repair_clear)

static void repair(Repair *r, BlockSource *source)
{
    size_t size;
    FILE *messages = open_memstream(&r->text, &size);
    Qcow2RepairOptions options = {.all = true, .dry_run = r->dry_run, .undo = r->undo, .check = &r->check};
    g_autoptr(GError) error = NULL;
    g_autoptr(Qcow2Image) image = qcow2_open(source, messages, &error);

    g_assert_no_error(error);
    r->check.workers = 1;
    r->check.messages = messages;
    qcow2_repair(image, &options, &r->result, &r->error);
    fclose(messages);
}

static void assert_said(const Repair *r, const char *line)
{
    if (!strstr(r->text, line)) {
        g_error("\"%s\" is not in \"%s\"", line, r->text);
    }
}

static void assert_left(const Repair *r, int64_t corruptions, int64_t leaks, int64_t errors)
{
    g_assert_no_error(r->error);
    g_assert_cmpint(r->result.check.check->corruptions, ==, corruptions);
    g_assert_cmpint(r->result.check.check->leaks, ==, leaks);
    g_assert_cmpint(r->result.check.check->check_errors, ==, errors);
}

static void assert_bytes(const BlockSource *source, const uint8_t *bytes)
{
    g_assert_cmpmem(block_source_memory_bytes(source), (int)source->length, bytes, AT(CLUSTERS));
}

/* ---- a disk that is full, and stays as long as it is ---- */

/* All clusters are in use: what leaks otherwise has data. */
static uint8_t *full_image_new(void)
{
    uint8_t *bytes = small_image_new();

    put_be64(bytes + AT(L2_A) + 8, COPIED | AT(LEAK));
    return bytes;
}

static BlockSource *full_disk_new(const uint8_t *bytes)
{
    BlockSource *source = block_source_new_writable_memory(bytes, AT(CLUSTERS), AT(CLUSTERS));

    source->fixed_length = true;
    return source;
}

/* Without room for new reference counts there is no repair, and every byte stays. */
static void test_no_room_for_counts(void)
{
    g_autofree uint8_t *bytes = full_image_new();
    g_autoptr(BlockSource) disk = NULL;
    g_auto(Repair) r = {0};

    put_be64(bytes + AT(REFTABLE), AT(REFBLOCK) + 512);
    disk = full_disk_new(bytes);
    repair(&r, disk);
    g_assert_no_error(r.error);
    g_assert_error(r.result.check.not_repaired, BLOCK_ERROR, ENOSPC);
    g_assert_nonnull(
        strstr(r.result.check.not_repaired->message, "No room for new reference counts, and nothing was changed"));
    assert_bytes(disk, bytes);
    g_assert_cmpint(r.result.check.check->corruptions, ==, 1); /* the verdict is there all the same */
}

/* What is leaked, and is to be freed, is room enough where the file cannot grow. */
static void test_room_in_leaks(void)
{
    g_autofree uint8_t *bytes = small_image_new();
    g_autoptr(BlockSource) disk = NULL;
    g_auto(Repair) r = {0};
    const uint8_t *after;

    put_be64(bytes + AT(L2_B), 0);     /* so that DATA_B is leaked, too */
    put_be64(bytes + AT(L2_B) + 8, 1); /* reads as zeros: a table of nothing but zeros may have lost what leaks */
    put_be64(bytes + AT(REFTABLE), AT(REFBLOCK) | 1);
    disk = full_disk_new(bytes);
    repair(&r, disk);
    assert_left(&r, 0, 0, 0);
    after = block_source_memory_bytes(disk);
    /* the new block: the header has a count of 1, the old table and block have none, the L1 table has 1 */
    g_assert_cmphex(load_be64(after + AT(DATA_B)), ==, UINT64_C(0x0001000000000001));
    g_assert_cmphex(load_be64(after + AT_REFTABLE_OFFSET), ==, AT(LEAK));
    g_assert_cmphex(load_be64(after + AT(LEAK)), ==, AT(DATA_B));
}

/* Without room for a copy, guest data stay on the metadata; the count says so, and all else is repaired. */
static void test_no_room_for_data(void)
{
    g_autofree uint8_t *bytes = full_image_new();
    g_autoptr(BlockSource) disk = NULL;
    g_auto(Repair) r = {0};
    const uint8_t *after;

    put_be64(bytes + AT(L2_B) + 8, COPIED | AT(SNAPSHOT_L1));
    put_refcount(bytes, DATA_A, 0);
    disk = full_disk_new(bytes);
    repair(&r, disk);
    assert_said(&r, "No place for a copy of data that lies on metadata: l2_entry=8000000000090000\n");
    assert_left(&r, 0, 0, 0);
    after = block_source_memory_bytes(disk);
    g_assert_cmpuint(load_be64(after + AT(L2_B) + 8), ==, AT(SNAPSHOT_L1));
    g_assert_cmpuint(load_be16(after + AT(REFBLOCK) + 2 * SNAPSHOT_L1), ==, 2);
    g_assert_cmpuint(load_be16(after + AT(REFBLOCK) + 2 * DATA_A), ==, 1);
}

/* Two entries lie on metadata, that of @L2_B on the table of the other: it is copied first. */
static uint8_t *two_entries_new(unsigned lies_in_a)
{
    uint8_t *bytes = full_image_new();

    put_be64(bytes + AT(L2_A) + 16, COPIED | AT(lies_in_a));
    put_be64(bytes + AT(L2_B) + 8, COPIED | AT(L2_A));
    return bytes;
}

/* With room for one copy only, it is for data on a table that is to be changed, so that the guest reads the same. */
static void test_room_for_one(void)
{
    g_autofree uint8_t *bytes = two_entries_new(SNAPSHOT_L1);
    g_autoptr(BlockSource) disk = NULL;
    g_auto(Repair) r = {0};
    const uint8_t *after;

    put_be64(bytes + AT(L2_A) + 8, 0);
    put_refcount(bytes, LEAK, 0); /* the room */
    disk = full_disk_new(bytes);
    repair(&r, disk);
    assert_said(&r, "Guest data stays on metadata, which is left as it is there: 1 L2 entries, the first of them "
                    "l2_entry=90000 (at 0x40010)");
    assert_left(&r, 0, 0, 0);
    after = block_source_memory_bytes(disk);
    g_assert_cmphex(load_be64(after + AT(L2_B) + 8), ==, COPIED | AT(LEAK));
    g_assert_cmpmem(after + AT(LEAK), CLUSTER, bytes + AT(L2_A), CLUSTER);
    g_assert_cmphex(load_be64(after + AT(L2_A) + 16), ==, AT(SNAPSHOT_L1)); /* its count is 2 now */
}

/* With no room at all, a table that guest data lies on keeps its bytes, whatever is wrong in it. */
static void test_no_room_on_table(void)
{
    g_autofree uint8_t *bytes = two_entries_new(SNAPSHOT_L1);
    g_autoptr(BlockSource) disk = full_disk_new(bytes);
    g_auto(Repair) r = {0};
    const uint8_t *after;

    repair(&r, disk);
    assert_said(&r, "Guest data stays on metadata, which is left as it is there: 2 L2 entries, the first of them "
                    "l2_entry=8000000000090000 (at 0x40010)");
    assert_left(&r, 1, 0, 0); /* the flag of the entry that stays */
    after = block_source_memory_bytes(disk);
    g_assert_cmpmem(after + AT(L2_A), CLUSTER, bytes + AT(L2_A), CLUSTER);
    g_assert_cmpuint(load_be16(after + AT(REFBLOCK) + 2 * SNAPSHOT_L1), ==, 2);
    g_assert_cmpuint(load_be16(after + AT(REFBLOCK) + 2 * L2_A), ==, 2);
}

/* Without room for a new snapshot table, the old one stays as it is, and the fault with it. */
static void test_no_room_for_snapshots(void)
{
    g_autofree uint8_t *bytes = full_image_new();
    g_autoptr(BlockSource) disk = NULL;
    g_auto(Repair) r = {0};

    put_be32(bytes + AT(SNAPSHOTS) + 36, 2000);
    bytes[AT(SNAPSHOTS) + 56] = bytes[AT(SNAPSHOTS) + 57] = 0;
    bytes[AT(SNAPSHOTS) + 2040] = '1';
    bytes[AT(SNAPSHOTS) + 2041] = 's';
    disk = full_disk_new(bytes);
    repair(&r, disk);
    assert_said(&r, "No place for a new snapshot table\n");
    g_assert_no_error(r.error);
    assert_bytes(disk, bytes);
}

/* Without room for the whole undo file, every byte of the image stays. */
static void test_no_room_for_undo(void)
{
    g_autofree uint8_t *bytes = small_image_new();
    size_t room = 0;
    bool done = false;

    put_refcount(bytes, DATA_A, 0);
    put_be64(bytes + AT(L2_B) + 8, COPIED | AT(SNAPSHOT_L1)); /* gets a copy */
    put_refcount(bytes, LEAK, 0);                             /* there; the bytes of that place are to be saved */
    for (; !done; room = room * 2 + 1) {
        g_autoptr(BlockSource) disk = block_source_new_writable_memory(bytes, AT(CLUSTERS), ROOM);
        g_autoptr(BlockSource) file = block_source_new_writable_memory(NULL, 0, room);
        g_autoptr(UndoFile) undo = undo_file_new(file, "undo", disk, NULL);
        g_auto(Repair) r = {.undo = undo};

        if (!undo) {
            continue;
        }
        repair(&r, disk);
        done = !r.error;
        if (!done) {
            g_assert_error(r.error, BLOCK_ERROR, ENOSPC);
            g_assert_nonnull(strstr(r.error->message, "'undo'"));
            assert_bytes(disk, bytes);
        }
    }
    g_assert_cmpuint(room, >, 1000); /* it took several times */
}

/* ---- snapshots that cannot be kept ---- */

/* The image with room for @clusters more, which are in use. */
static uint8_t *long_image_new(unsigned clusters)
{
    g_autofree uint8_t *small = small_image_new();
    uint8_t *bytes = g_malloc0(AT(CLUSTERS + clusters));

    memcpy(bytes, small, AT(CLUSTERS));
    put_refcount(bytes, LEAK, 0);
    for (unsigned i = 0; i < clusters; i++) {
        put_refcount(bytes, CLUSTERS + i, 1);
    }
    put_be64(bytes + AT_SNAPSHOTS_OFFSET, AT(CLUSTERS));
    put_refcount(bytes, SNAPSHOTS, 0);
    return bytes;
}

/* A snapshot of nothing, with a name of zeros. */
static void put_empty_snapshot(uint8_t *entry, unsigned name_size)
{
    put_be64(entry, AT(SNAPSHOT_L1));
    put_be16(entry + 12, 1);
    put_be16(entry + 14, (uint16_t)name_size);
    put_be32(entry + 36, 16);
    entry[56] = '1';
}

/* What is there afterwards is right, but for clusters that may have belonged to what is lost; a second repair keeps it.
 */
static void repair_long_image(Repair *r, const uint8_t *bytes, unsigned clusters, uint32_t *snapshots_left)
{
    g_autoptr(BlockSource) disk = block_source_new_writable_memory(bytes, AT(CLUSTERS + clusters), ROOM);
    g_auto(Repair) next = {0};
    g_autofree uint8_t *after = NULL;
    size_t size;

    repair(r, disk);
    g_assert_no_error(r->error);
    *snapshots_left = load_be32(block_source_memory_bytes(disk) + AT_NB_SNAPSHOTS);
    after = g_memdup2(block_source_memory_bytes(disk), disk->length);
    size = disk->length;
    repair(&next, disk);
    g_assert_no_error(next.error);
    g_assert_cmpint(next.result.check.check->corruptions, ==, 0);
    g_assert_cmpint(next.result.check.check->check_errors, ==, 0);
    g_assert_cmpmem(block_source_memory_bytes(disk), (int)disk->length, after, (int)size);
}

/* A dry run has the verdict on the image as it is, which no check can finish. */
static void assert_dry_run_fails(const uint8_t *bytes, unsigned clusters)
{
    g_autoptr(BlockSource) disk = block_source_new_memory(bytes, AT(CLUSTERS + clusters));
    g_auto(Repair) r = {.dry_run = true};

    repair(&r, disk);
    g_assert_no_error(r.error);
    g_assert_cmpint(r.result.check.check->check_errors, ==, 1);
    g_assert_cmpint(r.result.check.failure, ==, EFBIG);
}

/* Of more snapshots than an image may have, the first 65,536 stay. */
static void test_too_many_snapshots(void)
{
    enum { MOST = 65536, TOO_MANY = 5, ENTRY = 64, TABLE_CLUSTERS = (MOST + TOO_MANY) * ENTRY / CLUSTER + 1 };
    g_autofree uint8_t *bytes = long_image_new(TABLE_CLUSTERS);
    g_auto(Repair) r = {0};
    uint32_t left;

    put_be32(bytes + AT_NB_SNAPSHOTS, MOST + TOO_MANY);
    for (unsigned i = 0; i < MOST + TOO_MANY; i++) {
        put_empty_snapshot(bytes + AT(CLUSTERS) + i * ENTRY, 4);
    }
    assert_dry_run_fails(bytes, TABLE_CLUSTERS);
    repair_long_image(&r, bytes, TABLE_CLUSTERS, &left);
    assert_said(&r, "Discarding 5 overhanging snapshots\n");
    g_assert_cmpuint(left, ==, MOST);
}

/* Of a table of more than 64 MiB, the snapshots within the first 64 MiB stay. */
static void test_table_too_big(void)
{
    enum { NAME = 65535, ENTRY = 65592, FIT = 1023, SNAPSHOTS_THERE = 1030 };
    enum { TABLE_CLUSTERS = SNAPSHOTS_THERE + 1 };
    g_autofree uint8_t *bytes = long_image_new(TABLE_CLUSTERS);
    g_auto(Repair) r = {0};
    uint32_t left;

    put_be32(bytes + AT_NB_SNAPSHOTS, SNAPSHOTS_THERE);
    for (unsigned i = 0; i < SNAPSHOTS_THERE; i++) {
        put_empty_snapshot(bytes + AT(CLUSTERS) + (size_t)i * ENTRY, NAME);
    }
    repair_long_image(&r, bytes, TABLE_CLUSTERS, &left);
    assert_said(&r, "Discarding 7 overhanging snapshots (snapshot table is too big)\n");
    g_assert_cmpuint(left, ==, FIT);
}

/* Extra data that is too much, and really there, is cut; that entry and the one behind it stay. */
static void test_too_much_extra(void)
{
    g_autofree uint8_t *bytes = long_image_new(1);
    uint8_t *table = bytes + AT(CLUSTERS);
    g_auto(Repair) r = {0};
    uint32_t left;

    put_be32(bytes + AT_NB_SNAPSHOTS, 2);
    put_empty_snapshot(table, 1);
    table[56] = 0;
    put_be32(table + 36, 2000);
    table[2040] = '1';
    table[2041] = 's';
    put_empty_snapshot(table + 2048, 4);
    table[2048 + 56] = '2';
    repair_long_image(&r, bytes, 1, &left);
    g_assert_cmpuint(left, ==, 2);
}

/* An entry whose strings cannot be found is given up, which is said; that behind it stays. */
static void test_unreadable_snapshot(void)
{
    g_autofree uint8_t *bytes = long_image_new(1);
    g_auto(Repair) r = {0};
    uint32_t left;

    put_be32(bytes + AT_NB_SNAPSHOTS, 2);
    put_empty_snapshot(bytes + AT(CLUSTERS), 4);
    put_be32(bytes + AT(CLUSTERS) + 36, 5000);
    bytes[AT(CLUSTERS) + 56] = 0;
    put_empty_snapshot(bytes + AT(CLUSTERS) + 64, 4);
    repair_long_image(&r, bytes, 1, &left);
    assert_said(&r, "Snapshot table entry 0 cannot be read, and is given up\n");
    g_assert_cmpuint(left, ==, 1);
}

/* ---- reading fails ---- */

static ssize_t write_nothing(BlockSource *source, const void *buffer, size_t size, uint64_t offset)
{
    g_assert_not_reached();
}

/* Where metadata cannot be read nothing is written, and it is said why. */
static void test_unreadable(void)
{
    static const BlockSourceOps ops = {.read_at = faulty_read_at, .write_at = write_nothing};
    static const unsigned clusters[] = {ACTIVE_L1, L2_A, SNAPSHOTS, SNAPSHOT_L1, L2_C, DIRECTORY, BITMAP_TABLE};

    for (size_t i = 0; i < G_N_ELEMENTS(clusters); i++) {
        g_autofree uint8_t *bytes = small_image_new();
        FaultySource disk = faulty_source(bytes, AT(CLUSTERS), AT(clusters[i]), CLUSTER);
        g_auto(Repair) r = {0};

        disk.base.ops = &ops;
        disk.base.writable = true;
        put_refcount(bytes, DATA_B, 0);
        repair(&r, &disk.base);
        g_assert_no_error(r.error);
        assert_said(&r, "Nothing is repaired, as metadata could not be read (Input/output error)");
        g_assert_cmpint(r.result.check.check->corruptions_fixed, ==, 0);
        g_assert_cmpint(r.result.check.failure, ==, EIO);
    }
}

/* ---- writing fails ---- */

static ssize_t (*write_below)(BlockSource *source, const void *buffer, size_t size, uint64_t offset);

static ssize_t write_all_but_marks(BlockSource *source, const void *buffer, size_t size, uint64_t offset)
{
    bool marks = offset <= AT_INCOMPATIBLE && offset + size > AT_INCOMPATIBLE;

    return marks ? -EIO : write_below(source, buffer, size, offset);
}

/* Where the dirty bit cannot be cleared the repair has failed, though all else is right; the next one clears it. */
static void test_mark_stays(void)
{
    g_autofree uint8_t *bytes = small_image_new();
    g_autoptr(BlockSource) disk = NULL;
    g_auto(Repair) first = {0}, second = {0};
    const BlockSourceOps *ops;
    BlockSourceOps failing;

    put_refcount(bytes, DATA_A, 0);
    put_be64(bytes + AT_INCOMPATIBLE, 1);
    disk = block_source_new_writable_memory(bytes, AT(CLUSTERS), ROOM);
    ops = disk->ops;
    failing = *ops;
    write_below = ops->write_at;
    failing.write_at = write_all_but_marks;
    disk->ops = &failing;
    repair(&first, disk);
    g_assert_error(first.error, BLOCK_ERROR, EIO);
    g_assert_cmpuint(load_be64(block_source_memory_bytes(disk) + AT_INCOMPATIBLE), ==, 1);
    disk->ops = ops;
    repair(&second, disk);
    assert_left(&second, 0, 0, 0);
    g_assert_cmpstr(second.text, ==, "");
    g_assert_cmpuint(load_be64(block_source_memory_bytes(disk) + AT_INCOMPATIBLE), ==, 0);
}

static int (*flush_below)(BlockSource *source);

static int append_failure, flush_failure; /* negative errno values; 0: none */

static ssize_t write_no_more(BlockSource *source, const void *buffer, size_t size, uint64_t offset)
{
    return append_failure && offset >= AT(CLUSTERS) ? append_failure : write_below(source, buffer, size, offset);
}

static int flush_nothing(BlockSource *source)
{
    return flush_failure ? flush_failure : flush_below(source);
}

/* A repair that has to append a cluster to @bytes cannot. */
static void repair_without_append(Repair *r, const uint8_t *bytes)
{
    g_autoptr(BlockSource) disk = block_source_new_writable_memory(bytes, AT(CLUSTERS), ROOM);
    const BlockSourceOps *ops = disk->ops;
    BlockSourceOps failing = *ops;

    write_below = ops->write_at;
    flush_below = ops->flush;
    failing.write_at = write_no_more;
    failing.flush = flush_nothing;
    disk->ops = &failing;
    repair(r, disk);
    disk->ops = ops;
    g_assert_cmpmem(block_source_memory_bytes(disk), AT(CLUSTERS), bytes, AT(CLUSTERS));
}

/* Where what must be written anew cannot be, that there is no room is said only where it is so. */
static void test_not_written_anew(void)
{
    static const char no_room[] = "No room for what must be written anew, and nothing else was changed: ";
    static const char not_written[] = "What must be written anew could not be written, and nothing else was changed: ";
    static const struct {
        int append;
        int flush;
        const char *said;
    } cases[] = {
        {-ENOSPC, 0, no_room},    {-EDQUOT, 0, no_room},  {-EFBIG, 0, no_room},  {-EIO, 0, not_written},
        {-EPERM, 0, not_written}, {0, -EIO, not_written}, {0, -ENOSPC, no_room},
    };
    g_autofree uint8_t *bytes = full_image_new();

    put_be64(bytes + AT(L2_B) + 8, COPIED | AT(SNAPSHOT_L1)); /* gets a copy */
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(Repair) r = {0};

        append_failure = cases[i].append;
        flush_failure = cases[i].flush;
        repair_without_append(&r, bytes);
        g_assert_error(r.result.check.not_repaired, BLOCK_ERROR, -(cases[i].append + cases[i].flush));
        g_assert_true(g_str_has_prefix(r.result.check.not_repaired->message, cases[i].said));
    }
}

/* ---- more to be said than is wanted ---- */

/* A fault whose message is left out is repaired like others, and counts no more. */
static void test_limited_messages(void)
{
    static const uint64_t limits[] = {0, 1, 2, 1000};

    for (size_t i = 0; i < G_N_ELEMENTS(limits); i++) {
        g_autofree uint8_t *bytes = small_image_new();
        g_autoptr(BlockSource) disk = NULL;
        g_auto(Repair) r = {.check = {.max_messages = limits[i]}};
        const uint8_t *after;

        for (unsigned entry = 1; entry <= 5; entry++) {
            put_be64(bytes + AT(L2_A) + 8 * entry,
                     (AT(DATA_C) + 512) | 1); /* zeros, and preallocated where nothing can be */
        }
        put_refcount(bytes, DATA_A, 0);
        disk = block_source_new_writable_memory(bytes, AT(CLUSTERS), ROOM);
        repair(&r, disk);
        assert_left(&r, 0, 0, 0);
        after = block_source_memory_bytes(disk);
        for (unsigned entry = 1; entry <= 5; entry++) {
            g_assert_cmphex(load_be64(after + AT(L2_A) + 8 * entry), ==, 1);
        }
        g_assert_cmpuint(load_be16(after + AT(REFBLOCK) + 2 * DATA_A), ==, 1);
    }
}

/* ---- lists beside a dry run ---- */

static uint64_t counted(const QapiSequence *findings, ImageCheckSeverity severity)
{
    g_auto(QapiIterator) each = qapi_iterate(findings);
    uint64_t n = 0;

    for (const ImageCheckFinding *f; (f = qapi_next(&each));) {
        n += f->severity == severity && !f->fixed ? (uint64_t)f->count : 0;
    }
    return n;
}

/* With lists, a dry run says nothing else than without; they are of the image as it was found. */
static void test_dry_run_with_lists(void)
{
    g_autofree uint8_t *bytes = small_image_new();
    g_autoptr(BlockSource) disk = NULL;
    g_auto(Repair) plain = {.dry_run = true};
    g_auto(Repair) lists = {.dry_run = true, .check = {.findings = true, .roles = true, .layout = true, .space = true}};
    const ImageCheck *check;

    put_refcount(bytes, DATA_B, 0); /* too low, and its entry has COPIED */
    put_refcount(bytes, L2_A, 3);   /* too high, and its entry has it, too */
    disk = block_source_new_writable_memory(bytes, AT(CLUSTERS), ROOM);
    repair(&plain, disk);
    repair(&lists, disk);
    assert_left(&plain, 3, 2, 0);
    assert_left(&lists, 3, 2, 0);
    g_assert_cmpstr(lists.text, ==, plain.text);
    check = lists.result.check.check;
    g_assert_cmpuint(check->edits.len, ==, plain.result.check.check->edits.len);
    g_assert_cmpuint(counted(&check->findings, IMAGE_CHECK_SEVERITY_CORRUPTION), ==, 3);
    g_assert_cmpuint(counted(&check->findings, IMAGE_CHECK_SEVERITY_LEAK), ==, 2);
    g_assert_cmpint(check->space->file_size, ==, AT(CLUSTERS));
    g_assert_cmpuint(cluster_roles_clusters(lists.result.check.roles), ==, CLUSTERS);
    g_assert_cmpuint(lists.result.check.layout->mappings.n, >, 0);
    assert_bytes(disk, bytes);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/repair/no-room/counts", test_no_room_for_counts);
    g_test_add_func("/repair/no-room/in-leaks", test_room_in_leaks);
    g_test_add_func("/repair/no-room/data", test_no_room_for_data);
    g_test_add_func("/repair/no-room/one-copy", test_room_for_one);
    g_test_add_func("/repair/no-room/on-table", test_no_room_on_table);
    g_test_add_func("/repair/no-room/snapshots", test_no_room_for_snapshots);
    g_test_add_func("/repair/no-room/undo", test_no_room_for_undo);
    g_test_add_func("/repair/snapshots/too-many", test_too_many_snapshots);
    g_test_add_func("/repair/snapshots/table-too-big", test_table_too_big);
    g_test_add_func("/repair/snapshots/too-much-extra", test_too_much_extra);
    g_test_add_func("/repair/snapshots/unreadable", test_unreadable_snapshot);
    g_test_add_func("/repair/unreadable", test_unreadable);
    g_test_add_func("/repair/mark-stays", test_mark_stays);
    g_test_add_func("/repair/not-written-anew", test_not_written_anew);
    g_test_add_func("/repair/limited-messages", test_limited_messages);
    g_test_add_func("/repair/dry-run-with-lists", test_dry_run_with_lists);
    return g_test_run();
}
