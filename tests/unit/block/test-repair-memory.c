/*
 * Each allocation of a repair that may fail does: there is an error, or the result is as it always is, or less is done,
 * as later rounds are not planned then. The image is as before, or has all that the repair writes; else the next repair
 * ends what was begun.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <string.h>

#include "block/repair.h"
#include "short-memory.h"
#include "small-image.h"

#define ROOM AT(4 * CLUSTERS) /* bytes that the image may have in the end */

typedef struct Outcome {
    char *said; /* messages and counts; NULL: there was an error */
    uint8_t *bytes;
    size_t size;
} Outcome;

static void outcome_clear(Outcome *outcome)
{
    free(outcome->said);
    g_free(outcome->bytes);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Outcome, outcome_clear)

static Outcome repair(const uint8_t *bytes, size_t size, bool dry_run)
{
    g_autoptr(BlockSource) source = block_source_new_writable_memory(bytes, size, ROOM);
    Outcome outcome = {0};
    size_t said;
    FILE *out = open_memstream(&outcome.said, &said);
    Qcow2CheckOptions check = {.workers = 1, .findings = true, .roles = true, .messages = out};
    Qcow2RepairOptions options = {.all = true, .dry_run = dry_run, .check = &check};
    Qcow2RepairResult result = {0};
    g_autoptr(GError) error = NULL;
    g_autoptr(Qcow2Image) image = qcow2_open(source, out, &error);
    bool done = image && qcow2_repair(image, &options, &result, &error);

    g_assert_true(done == !error);
    if (done) {
        const ImageCheck *c = result.check.check;

        fprintf(out, "%d corruptions, %d leaks, %d errors, %d edits, %d findings\n", (int)c->corruptions, (int)c->leaks,
                (int)c->check_errors, (int)c->edits.len, (int)c->findings.len);
    }
    qcow2_repair_result_clear(&result);
    fclose(out);
    outcome.size = source->length;
    outcome.bytes = g_memdup2(block_source_memory_bytes(source), source->length);
    if (!done) {
        g_clear_pointer(&outcome.said, free);
    }
    return outcome;
}

static bool same_bytes(const Outcome *outcome, const uint8_t *bytes, size_t size)
{
    return outcome->size == size && memcmp(outcome->bytes, bytes, size) == 0;
}

/* What a repair that was broken off has left, the next one makes as the first would have. */
static void assert_can_be_finished(const Outcome *broken_off, const Outcome *expected)
{
    g_auto(Outcome) next = repair(broken_off->bytes, broken_off->size, false);
    g_auto(Outcome) wanted = repair(expected->bytes, expected->size, true);
    g_auto(Outcome) left = repair(next.bytes, next.size, true);

    g_assert_nonnull(next.said);
    g_assert_cmpstr(left.said, ==, wanted.said);
}

static void fail_each(const uint8_t *bytes, size_t size, bool dry_run, gboolean once)
{
    g_auto(Outcome) expected = repair(bytes, size, dry_run);
    gboolean failed = TRUE;

    g_assert_nonnull(expected.said);
    g_assert_true(!dry_run || same_bytes(&expected, bytes, size));
    for (int n = 1; failed; n++) {
        g_auto(Outcome) outcome = {0};

        short_memory_begin(n, once);
        outcome = repair(bytes, size, dry_run);
        failed = short_memory_end();
        if (dry_run) {
            g_assert_true(same_bytes(&outcome, bytes, size));
        } else if (outcome.said && g_str_equal(outcome.said, expected.said)) {
            g_assert_true(same_bytes(&outcome, expected.bytes, expected.size));
        } else if (!same_bytes(&outcome, bytes, size) && !same_bytes(&outcome, expected.bytes, expected.size)) {
            assert_can_be_finished(&outcome, &expected);
        }
    }
}

static void try_all(const uint8_t *bytes)
{
    for (unsigned i = 0; i < 4; i++) {
        fail_each(bytes, AT(CLUSTERS), i & 1, i & 2);
    }
}

static void test_leak(void)
{
    g_autofree uint8_t *bytes = small_image_new();

    try_all(bytes);
}

/* Counts are too low, and flags wrong. */
static void test_counts(void)
{
    g_autofree uint8_t *bytes = small_image_new();

    put_refcount(bytes, L2_A, 0);
    put_refcount(bytes, DATA_B, 7);
    put_be64(bytes + AT(L2_B), AT(DATA_B));
    try_all(bytes);
}

/* All counts are made anew, as their block is not where it can be. */
static void test_rebuild(void)
{
    g_autofree uint8_t *bytes = small_image_new();

    put_be64(bytes + AT(REFTABLE), AT(REFBLOCK) + 512);
    try_all(bytes);
}

/* Guest data lie on an L1 table, and others, preallocated and zero, where no cluster can begin. */
static void test_entries(void)
{
    g_autofree uint8_t *bytes = small_image_new();

    put_be64(bytes + AT(L2_A) + 8, COPIED | AT(SNAPSHOT_L1));
    put_be64(bytes + AT(L2_C) + 8, (AT(DATA_C) + 512) | 1);
    try_all(bytes);
}

/* The snapshot table is written anew, without data that are too much for an entry. */
static void test_snapshots(void)
{
    g_autofree uint8_t *bytes = small_image_new();

    put_be32(bytes + AT(SNAPSHOTS) + 36, 2000);
    bytes[AT(SNAPSHOTS) + 56] = bytes[AT(SNAPSHOTS) + 57] = 0;
    bytes[AT(SNAPSHOTS) + 2040] = '1';
    bytes[AT(SNAPSHOTS) + 2041] = 's';
    try_all(bytes);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/repair-memory/leak", test_leak);
    g_test_add_func("/repair-memory/counts", test_counts);
    g_test_add_func("/repair-memory/rebuild", test_rebuild);
    g_test_add_func("/repair-memory/entries", test_entries);
    g_test_add_func("/repair-memory/snapshots", test_snapshots);
    return g_test_run();
}
