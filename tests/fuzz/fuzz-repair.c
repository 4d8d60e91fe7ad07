/*
 * Repairs of an image, for leaks and for all.
 *
 * A dry run writes nothing, a second repair changes nothing and says the same, and with the undo file every byte is
 * taken back. Where the image is clean after a repair, a check says so too, and what a guest could read before it reads
 * afterwards (tests/crash/guest.h), unless snapshots were given up.
 *
 * Images of a fuzzer may be such that no repair makes sense of them: structures that are one another's data. What a
 * guest reads from these, when faults are left, is not judged here, but by tests/crash, which breaks images less.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <stdio.h>
#include <string.h>

#include "../crash/guest.h"
#include "block/qcow2/format/format.h"
#include "block/repair.h"
#include "block/undo/rollback.h"
#include "fuzz.h"
#include "util/number.h"

#define GROWTH ((size_t)4 << 20) /* what a repair may need more, bytes; the disk is full then */

typedef struct Left {
    int64_t corruptions, leaks, errors;
} Left;

static Left left_of(const ImageCheck *check)
{
    return (Left){check->corruptions, check->leaks, check->check_errors};
}

/* False where the repair fails, or the image cannot be opened. */
static bool repair(BlockSource *disk, bool all, bool dry_run, UndoFile *undo, Left *left)
{
    Qcow2CheckOptions check = {.workers = 1};
    Qcow2RepairOptions options = {.all = all, .dry_run = dry_run, .undo = undo, .check = &check};
    g_autoptr(GError) error = NULL;
    g_autoptr(Qcow2Image) image = qcow2_open(disk, NULL, &error);
    Qcow2RepairResult result = {0};
    bool done;

    if (!image) {
        return false;
    }
    limits_begin();
    done = qcow2_repair(image, &options, &result, &error);
    limits_end("a repair");
    g_assert_true(done == !error);
    if (done) {
        *left = left_of(result.check.check);
        qcow2_repair_result_clear(&result);
    }
    return done;
}

static bool is_clean(Left left)
{
    return !left.corruptions && !left.leaks && !left.errors;
}

/* There are more snapshots than there may be: which of them are data is anybody's guess. */
static bool too_many_snapshots(const uint8_t *bytes, size_t size)
{
    return size >= sizeof(Qcow2DiskHeader) &&
           load_be32(bytes + offsetof(Qcow2DiskHeader, nb_snapshots)) > QCOW2_MAX_SNAPSHOTS;
}

static Left check(BlockSource *disk)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Qcow2Image) image = qcow2_open(disk, NULL, &error);
    Qcow2CheckOptions options = {.workers = 1};
    Qcow2CheckResult result = {0};
    Left left;

    g_assert_no_error(error);
    qcow2_check(image, &options, &result, &error);
    g_assert_no_error(error);
    left = left_of(result.check);
    qcow2_check_result_clear(&result);
    return left;
}

static void assert_same_left(Left a, Left b)
{
    g_assert_cmpint(a.corruptions, ==, b.corruptions);
    g_assert_cmpint(a.leaks, ==, b.leaks);
    g_assert_cmpint(a.errors, ==, b.errors);
}

static void assert_bytes(const BlockSource *disk, const uint8_t *bytes, size_t size)
{
    g_assert_cmpmem(block_source_memory_bytes(disk), (int)disk->length, bytes, (int)size);
}

static void assert_guest_unharmed(const GuestView *before, const BlockSource *disk)
{
    g_autoptr(GuestView) after = guest_view_new(block_source_memory_bytes(disk), disk->length, false);
    g_autofree char *difference = NULL;

    if (before) {
        guest_view_same(before, after, &difference);
    }
    g_assert_cmpstr(difference, ==, NULL); /* says what a guest reads otherwise */
}

static void assert_second_repair_empty(BlockSource *disk, bool all, Left left)
{
    size_t size = disk->length;
    g_autofree uint8_t *bytes = g_memdup2(block_source_memory_bytes(disk), size);
    Left again;

    if (is_clean(left)) {
        assert_same_left(check(disk), left);
    }
    if (repair(disk, all, false, NULL, &again)) {
        g_assert_true(is_clean(again) == is_clean(left));
    } else {
        g_assert_false(is_clean(left));
    }
    assert_bytes(disk, bytes, size);
}

static void roll_back(BlockSource *file, BlockSource *disk)
{
    g_autoptr(GError) error = NULL;

    undo_rollback_from(file, "undo", disk, NULL, &error);
    g_assert_no_error(error);
}

static void repair_and_judge(const uint8_t *bytes, size_t size, bool all)
{
    g_autoptr(BlockSource) disk = block_source_new_writable_memory(bytes, size, size + GROWTH);
    g_autoptr(BlockSource) file = block_source_new_writable_memory(NULL, 0, 4 * (size + GROWTH));
    g_autoptr(GuestView) view = guest_view_new(bytes, size, false);
    UndoFile *undo = undo_file_new(file, "undo", disk, NULL);
    Left left;
    bool repaired;

    g_assert_nonnull(undo);
    repair(disk, all, true, NULL, &left);
    assert_bytes(disk, bytes, size);
    repaired = repair(disk, all, false, undo, &left);
    undo_file_free(undo);
    if (repaired) {
        BlockSource *again =
            block_source_new_writable_memory(block_source_memory_bytes(disk), disk->length, disk->length + GROWTH);

        assert_second_repair_empty(again, all, left);
        block_source_close(again);
        if (is_clean(left) && !too_many_snapshots(bytes, size)) {
            assert_guest_unharmed(view, disk);
        }
    }
    if (file->length > 0 && (disk->length != size || memcmp(block_source_memory_bytes(disk), bytes, size) != 0)) {
        roll_back(file, disk);
        assert_bytes(disk, bytes, size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    repair_and_judge(bytes, size, false);
    repair_and_judge(bytes, size, true);
    return 0;
}
