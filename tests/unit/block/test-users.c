/*
 * Who uses given clusters.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/users.h"

#include "counted-image.h"
#include "small-image.h"

#define GUEST_TABLE (UINT64_C(512) << 20) /* bytes of the guest's disk that an L2 table maps */

typedef struct Fixture {
    CountedImage counted;
    GArray *users;
} Fixture;

static void fixture_clear(Fixture *f)
{
    g_array_unref(f->users);
    counted_image_clear(&f->counted);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Fixture, fixture_clear)

/* Counts the image in the @size bytes at @bytes. */
static void begin(Fixture *f, const uint8_t *bytes, size_t size, unsigned workers)
{
    counted_image_open(&f->counted, bytes, size, workers);
    counted_image_count(&f->counted, NULL);
}

static void find(Fixture *f, const Qcow2ClusterRange *ranges, size_t n)
{
    f->users = counted_image_users(&f->counted, ranges, n);
}

static const Qcow2User *user_at(const Fixture *f, size_t i)
{
    g_assert_cmpuint(i, <, f->users->len);
    return &g_array_index(f->users, Qcow2User, i);
}

static void expect(const Fixture *f, size_t i, ImageCheckStructure structure, uint64_t offset, uint64_t size,
                   uint64_t entry_offset)
{
    const Qcow2User *user = user_at(f, i);

    g_assert_cmpstr(ImageCheckStructure_str(user->structure), ==, ImageCheckStructure_str(structure));
    g_assert_cmphex(user->offset, ==, offset);
    g_assert_cmphex(user->size, ==, size);
    g_assert_cmphex(user->entry_offset, ==, entry_offset);
    g_assert_cmpuint(user->weight, ==, 1);
}

static void expect_guest(const Fixture *f, size_t i, uint64_t offset, uint64_t size, int snapshot)
{
    const Qcow2User *user = user_at(f, i);

    g_assert_true(user->has_guest);
    g_assert_cmphex(user->guest_offset, ==, offset);
    g_assert_cmphex(user->guest_size, ==, size);
    g_assert_cmpint(user->snapshot, ==, snapshot);
}

/* Of an image that has one of everything, every structure is found, with the word that refers to it. */
static void test_every_structure(void)
{
    g_autofree uint8_t *bytes = small_image_new();
    g_auto(Fixture) f = {0};
    Qcow2ClusterRange all = {0, CLUSTERS};

    begin(&f, bytes, AT(CLUSTERS), 1);
    find(&f, &all, 1);
    g_assert_cmpuint(f.users->len, ==, LEAK);
    expect(&f, HEADER, IMAGE_CHECK_STRUCTURE_HEADER, 0, CLUSTER, 0);
    expect(&f, REFTABLE, IMAGE_CHECK_STRUCTURE_REFCOUNT_TABLE, AT(REFTABLE), CLUSTER, AT_REFTABLE_OFFSET);
    expect(&f, REFBLOCK, IMAGE_CHECK_STRUCTURE_REFCOUNT_BLOCK, AT(REFBLOCK), CLUSTER, AT(REFTABLE));
    expect(&f, ACTIVE_L1, IMAGE_CHECK_STRUCTURE_L1, AT(ACTIVE_L1), 16, AT_L1_OFFSET);
    expect(&f, L2_A, IMAGE_CHECK_STRUCTURE_L2, AT(L2_A), CLUSTER, AT(ACTIVE_L1));
    expect(&f, L2_B, IMAGE_CHECK_STRUCTURE_L2, AT(L2_B), CLUSTER, AT(ACTIVE_L1) + 8);
    expect(&f, DATA_A, IMAGE_CHECK_STRUCTURE_DATA, AT(DATA_A), CLUSTER, AT(L2_A));
    expect(&f, DATA_B, IMAGE_CHECK_STRUCTURE_DATA, AT(DATA_B), CLUSTER, AT(L2_B));
    expect(&f, SNAPSHOTS, IMAGE_CHECK_STRUCTURE_SNAPSHOT_TABLE, AT(SNAPSHOTS), 40 + 16 + 2, AT_SNAPSHOTS_OFFSET);
    expect(&f, SNAPSHOT_L1, IMAGE_CHECK_STRUCTURE_L1, AT(SNAPSHOT_L1), 8, AT(SNAPSHOTS));
    expect(&f, L2_C, IMAGE_CHECK_STRUCTURE_L2, AT(L2_C), CLUSTER, AT(SNAPSHOT_L1));
    expect(&f, DATA_C, IMAGE_CHECK_STRUCTURE_DATA, AT(DATA_C), CLUSTER, AT(L2_C));
    expect(&f, DIRECTORY, IMAGE_CHECK_STRUCTURE_BITMAP_DIRECTORY, AT(DIRECTORY), 32, AT_EXTENSIONS + 24);
    expect(&f, BITMAP_TABLE, IMAGE_CHECK_STRUCTURE_BITMAP_TABLE, AT(BITMAP_TABLE), 8, AT(DIRECTORY));
    expect(&f, BITMAP_DATA, IMAGE_CHECK_STRUCTURE_BITMAP_DATA, AT(BITMAP_DATA), CLUSTER, AT(BITMAP_TABLE));
    expect_guest(&f, L2_B, GUEST_TABLE, GUEST_TABLE, QCOW2_TREE_ACTIVE);
    expect_guest(&f, DATA_B, GUEST_TABLE, CLUSTER, QCOW2_TREE_ACTIVE);
    expect_guest(&f, L2_C, 0, GUEST_TABLE, 0);
    expect_guest(&f, DATA_C, 0, CLUSTER, 0);
    g_assert_cmpint(user_at(&f, SNAPSHOT_L1)->snapshot, ==, 0);
    g_assert_false(user_at(&f, SNAPSHOT_L1)->has_guest);
    g_assert_false(qcow2_users_capped(f.users));
}

/* The LUKS header is referred to by its header extension. */
static void test_crypt_header(void)
{
    g_autofree uint8_t *bytes = small_image_new();
    g_auto(Fixture) f = {0};
    Qcow2ClusterRange leak = {LEAK, 1};

    memset(bytes + AT_EXTENSIONS, 0, 32);
    put_be32(bytes + AT_CRYPT_METHOD, 2);
    put_be32(bytes + AT_EXTENSIONS, 0x0537be77);
    put_be32(bytes + AT_EXTENSIONS + 4, 16);
    put_be64(bytes + AT_EXTENSIONS + 8, AT(LEAK));
    put_be64(bytes + AT_EXTENSIONS + 16, 1000);
    begin(&f, bytes, AT(CLUSTERS), 1);
    find(&f, &leak, 1);
    g_assert_cmpuint(f.users->len, ==, 1);
    expect(&f, 0, IMAGE_CHECK_STRUCTURE_CRYPT_HEADER, AT(LEAK), 1000, AT_EXTENSIONS + 8);
}

/* Nobody uses a leaked cluster, and what nobody asked for is not found. */
static void test_none(void)
{
    g_autofree uint8_t *bytes = small_image_new();
    g_auto(Fixture) f = {0};
    Qcow2ClusterRange leak = {LEAK, 100};

    begin(&f, bytes, AT(CLUSTERS), 1);
    find(&f, &leak, 1);
    g_assert_cmpuint(f.users->len, ==, 0);
}

/* A data cluster on top of an L2 table: both are named. */
static void test_overlap(void)
{
    g_autofree uint8_t *bytes = small_image_new();
    g_auto(Fixture) f = {0};
    Qcow2ClusterRange shared = {L2_B, 1};

    put_be64(bytes + AT(L2_A) + 8 * 77, AT(L2_B));
    begin(&f, bytes, AT(CLUSTERS), 1);
    find(&f, &shared, 1);
    g_assert_cmpuint(f.users->len, ==, 2);
    expect(&f, 0, IMAGE_CHECK_STRUCTURE_L2, AT(L2_B), CLUSTER, AT(ACTIVE_L1) + 8);
    expect(&f, 1, IMAGE_CHECK_STRUCTURE_DATA, AT(L2_B), CLUSTER, AT(L2_A) + 8 * 77);
    expect_guest(&f, 1, 77 * CLUSTER, CLUSTER, QCOW2_TREE_ACTIVE);
}

/* Data in a row is cut to the ranges that were asked for. */
static void test_ranges_in_a_row(void)
{
    g_autofree uint8_t *bytes = small_image_new();
    g_auto(Fixture) f = {0};
    Qcow2ClusterRange ranges[] = {{DATA_A + 1, 2}, {DATA_A + 4, 1}, {CLUSTERS + 5, 1}};

    for (unsigned i = 0; i < 20; i++) {
        put_be64(bytes + AT(L2_A) + 8 * (10 + i), AT(DATA_A + i));
    }
    put_be64(bytes + AT(L2_B), 0);
    put_be64(bytes + AT(SNAPSHOT_L1), 0);
    put_be32(bytes + AT_NB_SNAPSHOTS, 0);
    begin(&f, bytes, AT(CLUSTERS), 1);
    find(&f, ranges, 3);
    g_assert_cmpuint(f.users->len, ==, 2);
    expect(&f, 0, IMAGE_CHECK_STRUCTURE_DATA, AT(DATA_A + 1), 2 * CLUSTER, AT(L2_A) + 8 * 11);
    expect_guest(&f, 0, 11 * CLUSTER, 2 * CLUSTER, QCOW2_TREE_ACTIVE);
    expect(&f, 1, IMAGE_CHECK_STRUCTURE_DATA, AT(DATA_A + 4), CLUSTER, AT(L2_A) + 8 * 14);
}

/* Compressed data has the length in its entry (docs/interop/qcow2-format.rst 6.1), in each cluster that it touches. */
static void test_compressed(void)
{
    g_autofree uint8_t *bytes = small_image_new();
    g_auto(Fixture) f = {0};
    Qcow2ClusterRange second = {LEAK, 1};
    uint64_t offset = AT(LEAK) - 1000;

    /* three sectors more than the one it begins in: 70 - 16 = 54 bits of offset */
    put_be64(bytes + AT(L2_A) + 8, UINT64_C(1) << 62 | UINT64_C(3) << 54 | offset);
    begin(&f, bytes, AT(CLUSTERS), 1);
    find(&f, &second, 1);
    g_assert_cmpuint(f.users->len, ==, 1);
    expect(&f, 0, IMAGE_CHECK_STRUCTURE_COMPRESSED_DATA, offset, 4 * 512 - offset % 512, AT(L2_A) + 8);
    expect_guest(&f, 0, CLUSTER, CLUSTER, QCOW2_TREE_ACTIVE);
}

/* A table that two trees share is a user for each L1 entry, and its data one with weight 2. */
static void test_weight(void)
{
    g_autofree uint8_t *bytes = small_image_new();
    g_auto(Fixture) f = {0};
    Qcow2ClusterRange ranges[] = {{L2_A, 1}, {DATA_A, 1}};

    put_be64(bytes + AT(SNAPSHOT_L1), AT(L2_A));
    begin(&f, bytes, AT(CLUSTERS), 1);
    find(&f, ranges, 2);
    g_assert_cmpuint(f.users->len, ==, 3);
    expect(&f, 0, IMAGE_CHECK_STRUCTURE_L2, AT(L2_A), CLUSTER, AT(ACTIVE_L1));
    expect(&f, 1, IMAGE_CHECK_STRUCTURE_L2, AT(L2_A), CLUSTER, AT(SNAPSHOT_L1));
    expect_guest(&f, 1, 0, GUEST_TABLE, 0);
    g_assert_cmpuint(user_at(&f, 2)->weight, ==, 2);
    expect_guest(&f, 2, 0, CLUSTER, QCOW2_TREE_ACTIVE);
}

/* The data of an image with an external data file is not in this file. */
static void test_data_file(void)
{
    g_autofree uint8_t *bytes = small_image_new();
    g_auto(Fixture) f = {0};
    Qcow2ClusterRange data = {DATA_A, 1};

    put_be64(bytes + AT_INCOMPATIBLE, 4);
    begin(&f, bytes, AT(CLUSTERS), 1);
    find(&f, &data, 1);
    g_assert_cmpuint(f.users->len, ==, 0);
}

/* More users than one call finds: those with the lowest offsets, the same for any number of threads. */
static void test_capped(void)
{
    enum { L1_CLUSTERS = 10, ENTRIES = L1_CLUSTERS * CLUSTER / 8 };
    g_autofree uint8_t *small = small_image_new();
    g_autofree uint8_t *bytes = g_malloc0(AT(CLUSTERS + L1_CLUSTERS));

    memcpy(bytes, small, AT(CLUSTERS));
    put_be32(bytes + AT_L1_SIZE, ENTRIES);
    put_be64(bytes + AT_L1_OFFSET, AT(CLUSTERS));
    for (unsigned i = 0; i < ENTRIES; i++) {
        put_be64(bytes + AT(CLUSTERS) + 8 * i, i % 100 == 99 ? AT(L2_A) : AT(L2_B));
    }
    for (unsigned workers = 1; workers <= 4; workers += 3) {
        g_auto(Fixture) f = {0};
        Qcow2ClusterRange tables = {L2_A, 2};

        begin(&f, bytes, AT(CLUSTERS + L1_CLUSTERS), workers);
        find(&f, &tables, 1);
        g_assert_true(qcow2_users_capped(f.users));
        g_assert_cmpuint(f.users->len, ==, LIMIT_USERS);
        expect(&f, 0, IMAGE_CHECK_STRUCTURE_L2, AT(L2_A), CLUSTER, AT(CLUSTERS) + 8 * 99);
        expect(&f, ENTRIES / 100, IMAGE_CHECK_STRUCTURE_L2, AT(L2_B), CLUSTER, AT(CLUSTERS));
        expect(&f, LIMIT_USERS - 1, IMAGE_CHECK_STRUCTURE_L2, AT(L2_B), CLUSTER,
               user_at(&f, LIMIT_USERS - 2)->entry_offset + 8);
    }
}

/* Adds up the weights of the users of each cluster. */
static void sum_weights(const Fixture *f, uint64_t *counts, size_t n)
{
    for (guint i = 0; i < f->users->len; i++) {
        const Qcow2User *user = user_at(f, i);

        for (uint64_t c = user->offset / CLUSTER; c <= (user->offset + user->size - 1) / CLUSTER && c < n; c++) {
            counts[c] += user->weight;
        }
    }
}

/* However an image is spoiled, the users of a cluster are as many as its computed count. */
static void test_users_are_the_count(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(1);

    for (unsigned round = 0; round < 300; round++) {
        g_autofree uint8_t *bytes = small_image_new();
        g_auto(Fixture) f = {0};
        uint64_t counts[CLUSTERS + 1] = {0};
        Qcow2ClusterRange all = {0, CLUSTERS + 1};

        small_image_spoil(bytes, random);
        begin(&f, bytes, AT(CLUSTERS), 1);
        find(&f, &all, 1);
        sum_weights(&f, counts, G_N_ELEMENTS(counts));
        for (unsigned c = 0; c < G_N_ELEMENTS(counts); c++) {
            g_assert_cmpuint(counts[c], ==, refmap_get(f.counted.check.counting.refs, c));
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/users/every-structure", test_every_structure);
    g_test_add_func("/users/crypt-header", test_crypt_header);
    g_test_add_func("/users/none", test_none);
    g_test_add_func("/users/overlap", test_overlap);
    g_test_add_func("/users/ranges-in-a-row", test_ranges_in_a_row);
    g_test_add_func("/users/compressed", test_compressed);
    g_test_add_func("/users/weight", test_weight);
    g_test_add_func("/users/data-file", test_data_file);
    g_test_add_func("/users/capped", test_capped);
    g_test_add_func("/users/users-are-the-count", test_users_are_the_count);
    return g_test_run();
}
