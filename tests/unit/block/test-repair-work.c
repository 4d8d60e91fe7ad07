/*
 * What a repair asks of the disk: how much of it is punched, and how often it is asked where its data is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/repair.h"

#include "small-image.h"

#define LEAKS    100 /* clusters that are leaked, behind the small image, each with one that is free behind it */
#define ALL      (CLUSTERS + 2 * LEAKS)
#define FIRST(i) (CLUSTERS + 2 * (i)) /* the cluster of leak @i */

/* A disk in memory that counts what is asked of it. There is one at a time. */
static struct {
    const BlockSourceOps *plain;
    BlockSourceOps ops;
    uint64_t data[2]; /* where data is, apart from the small image: [from, to) */
    unsigned asked;   /* where data is, behind the small image, since the last flush */
    unsigned punches;
    uint64_t punched; /* bytes */
} disk;

/* What was asked until then was asked by the search for lost data. */
static int counting_flush(BlockSource *source)
{
    disk.asked = 0;
    return disk.plain->flush(source);
}

static int counting_punch(BlockSource *source, uint64_t offset, uint64_t size)
{
    disk.punches++;
    disk.punched += size;
    return disk.plain->punch(source, offset, size);
}

static uint64_t counting_next_data(BlockSource *source, uint64_t offset)
{
    if (offset < AT(CLUSTERS)) {
        return offset;
    }
    disk.asked++;
    return offset < disk.data[1] ? MAX(offset, disk.data[0]) : source->length;
}

static uint64_t counting_next_hole(BlockSource *source, uint64_t offset)
{
    uint64_t end = offset < AT(CLUSTERS)                             ? AT(CLUSTERS)
                   : offset >= disk.data[0] && offset < disk.data[1] ? disk.data[1]
                                                                     : offset;

    return MIN(end, source->length);
}

static BlockSource *disk_new(const uint8_t *bytes, bool knows_holes)
{
    BlockSource *source = block_source_new_writable_memory(bytes, AT(ALL), AT(ALL));

    disk.plain = source->ops;
    disk.ops = *source->ops;
    disk.ops.flush = counting_flush;
    disk.ops.punch = counting_punch;
    disk.ops.next_data = knows_holes ? counting_next_data : NULL;
    disk.ops.next_hole = knows_holes ? counting_next_hole : NULL;
    disk.asked = disk.punches = 0;
    disk.punched = 0;
    source->ops = &disk.ops;
    return source;
}

/* An image in which every second cluster behind what is in use is leaked. */
static uint8_t *leaky_image_new(void)
{
    g_autofree uint8_t *small = small_image_new();
    uint8_t *bytes = g_malloc0(AT(ALL));

    memcpy(bytes, small, AT(CLUSTERS));
    put_refcount(bytes, LEAK, 0);
    for (unsigned i = 0; i < LEAKS; i++) {
        put_refcount(bytes, FIRST(i), 1);
    }
    return bytes;
}

static void repair(const uint8_t *bytes, bool knows_holes)
{
    g_autoptr(BlockSource) source = disk_new(bytes, knows_holes);
    g_autoptr(GError) error = NULL;
    g_autoptr(Qcow2Image) image = qcow2_open(source, NULL, &error);
    Qcow2CheckOptions check = {.workers = 1};
    Qcow2RepairOptions options = {.all = true, .check = &check};
    Qcow2RepairResult result;

    g_assert_no_error(error);
    qcow2_repair(image, &options, &result, &error);
    g_assert_no_error(error);
    g_assert_cmpint(result.check.check->leaks, ==, 0);
    g_assert_cmpint(result.check.check->corruptions, ==, 0);
    qcow2_repair_result_clear(&result);
}

static void repair_leaks(uint64_t data_from, uint64_t data_to)
{
    g_autofree uint8_t *bytes = leaky_image_new();

    disk.data[0] = data_from;
    disk.data[1] = data_to;
    repair(bytes, true);
}

/* Leaked clusters that are in one hole are not punched, and one question tells so. */
static void test_hole(void)
{
    repair_leaks(AT(ALL), AT(ALL));
    g_assert_cmpuint(disk.punches, ==, 0);
    g_assert_cmpuint(disk.asked, ==, 1);
}

/* Where all is data, each of them is punched, and nothing between them. */
static void test_data(void)
{
    repair_leaks(AT(CLUSTERS), AT(ALL));
    g_assert_cmpuint(disk.punches, ==, LEAKS);
    g_assert_cmpuint(disk.punched, ==, (uint64_t)LEAKS * CLUSTER);
    g_assert_cmpuint(disk.asked, ==, LEAKS);
}

/* Of a leaked cluster that is a hole in its first half, the other half is punched. */
static void test_data_in_cluster(void)
{
    repair_leaks(AT(FIRST(50)) + CLUSTER / 2, AT(FIRST(50) + 1));
    g_assert_cmpuint(disk.punches, ==, 1);
    g_assert_cmpuint(disk.punched, ==, CLUSTER / 2);
    g_assert_cmpuint(disk.asked, ==, 2); /* once more behind it */
}

/* Data in a cluster between two leaked ones leads to nothing but a second question. */
static void test_data_between(void)
{
    repair_leaks(AT(FIRST(50) + 1), AT(FIRST(51)));
    g_assert_cmpuint(disk.punches, ==, 0);
    g_assert_cmpuint(disk.asked, ==, 2);
}

/* A disk that knows no holes has data everywhere. */
static void test_holes_unknown(void)
{
    g_autofree uint8_t *bytes = leaky_image_new();

    repair(bytes, false);
    g_assert_cmpuint(disk.punches, ==, LEAKS);
    g_assert_cmpuint(disk.punched, ==, (uint64_t)LEAKS * CLUSTER);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_set_prgname("qemu-img");
    g_test_add_func("/repair-work/hole", test_hole);
    g_test_add_func("/repair-work/data", test_data);
    g_test_add_func("/repair-work/data-in-cluster", test_data_in_cluster);
    g_test_add_func("/repair-work/data-between", test_data_between);
    g_test_add_func("/repair-work/holes-unknown", test_holes_unknown);
    return g_test_run();
}
