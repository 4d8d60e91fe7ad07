/*
 * Which leaked clusters are lost data: forms of tables, what is kept, and hostile images.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/evidence.h"

#include <string.h>

#include "block/qcow2/inspect/evidence-forms.h"
#include "block/qcow2/inspect/evidence-places.h"
#include "counted-image.h"
#include "small-image.h"

/* ---- forms ---- */

static const Qcow2HeaderFields usual = {.version = 3, .cluster_bits = 16, .cluster_size = CLUSTER, .l2_bits = 13};
static const Qcow2HeaderFields extended = {.version = 3,
                                           .cluster_bits = 16,
                                           .cluster_size = CLUSTER,
                                           .l2_bits = 12,
                                           .incompatible_features = QCOW2_INCOMPAT_EXTENDED_L2};

#define LENGTH (UINT64_C(1) << 30)

typedef struct WordCase {
    uint64_t word;
    bool l1;
    bool l2;
} WordCase;

static void test_words(void)
{
    static const WordCase cases[] = {
        {0, true, true},
        {0x50000, true, true},
        {COPIED | 0x50000, true, true},
        {1, false, true}, /* reads as zeros */
        {0x50001, false, true},
        {0x50200, false, false},           /* not aligned */
        {0x50002, false, false},           /* reserved */
        {COPIED, false, false},            /* nothing, and a count of 1 */
        {LENGTH, false, false},            /* behind the end */
        {LENGTH - CLUSTER, true, true},    /* the last cluster */
        {UINT64_C(1) << 56, false, false}, /* the number 1, little-endian */
        {UINT64_C(1) << 62 | 0x50123, false, true},
        {UINT64_C(3) << 62 | 0x50123, false, false},
        {UINT64_C(1) << 62 | LENGTH * 2, false, false},
        {UINT64_C(0x7465787420616e64), false, false}, /* text */
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint8_t bytes[512] = {0};

        put_be64(bytes + 64, cases[i].word);
        g_assert_cmpint(qcow2_may_be_l1(bytes, sizeof(bytes), &usual, LENGTH), ==, cases[i].l1);
        g_assert_cmpint(qcow2_may_be_l2(bytes, sizeof(bytes), &usual, LENGTH), ==, cases[i].l2);
    }
}

/* A few damaged entries do not make it something else, when most are sound. */
static void test_damaged_entries(void)
{
    uint8_t bytes[512];

    for (unsigned i = 0; i < 64; i++) {
        put_be64(bytes + (size_t)i * 8, COPIED | (0x50000 + i * UINT64_C(0x10000)));
    }
    put_be64(bytes, 0x12345);
    put_be64(bytes + 8, 0x12345);
    put_be64(bytes + 16, 0x12345);
    g_assert_true(qcow2_may_be_l2(bytes, sizeof(bytes), &usual, LENGTH));
    for (unsigned i = 3; i < 8; i++) {
        put_be64(bytes + (size_t)i * 8, 0x12345);
    }
    g_assert_false(qcow2_may_be_l2(bytes, sizeof(bytes), &usual, LENGTH));
}

/* A subcluster cannot be both allocated and zeros. */
static void test_subclusters(void)
{
    uint8_t bytes[512] = {0};

    put_be64(bytes, COPIED | 0x50000);
    put_be64(bytes + 8, UINT64_C(0x00000fff0000f000));
    g_assert_true(qcow2_may_be_l2(bytes, sizeof(bytes), &extended, LENGTH));
    put_be64(bytes + 8, UINT64_C(0x0000000100000001));
    g_assert_false(qcow2_may_be_l2(bytes, sizeof(bytes), &extended, LENGTH));
}

static void test_snapshot_entry(void)
{
    g_autofree uint8_t *bytes = small_image_new();
    uint8_t *entry = bytes + AT(SNAPSHOTS);

    g_assert_true(qcow2_may_be_snapshot_table(entry, CLUSTER, &usual, AT(CLUSTERS)));
    entry[56] = 7; /* its ID is no text */
    g_assert_false(qcow2_may_be_snapshot_table(entry, CLUSTER, &usual, AT(CLUSTERS)));
    entry[56] = '1';
    put_be64(entry, AT(CLUSTERS));
    g_assert_false(qcow2_may_be_snapshot_table(entry, CLUSTER, &usual, AT(CLUSTERS)));
    memset(entry, 0xff, 512);
    g_assert_false(qcow2_may_be_snapshot_table(entry, 512, &usual, AT(CLUSTERS)));
}

/* ---- what is kept ---- */

typedef struct Found {
    CountedImage counted;
    Qcow2LostData lost;
} Found;

static void found_clear(Found *f)
{
    qcow2_lost_data_clear(&f->lost);
    counted_image_clear(&f->counted);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Found, found_clear)

static void find(Found *f, const uint8_t *bytes, size_t size, unsigned workers)
{
    g_autoptr(GError) error = NULL;

    counted_image_open(&f->counted, bytes, size, workers);
    counted_image_count(&f->counted, NULL);
    qcow2_find_lost_data(&f->counted.check, &f->lost, &error);
    g_assert_no_error(error);
}

static bool is_kept(const Found *f, uint64_t cluster)
{
    return f->lost.everything || refmap_get(f->lost.kept, cluster);
}

static void test_nothing_lost(void)
{
    g_autofree uint8_t *bytes = small_image_new();
    g_auto(Found) f = {0};

    find(&f, bytes, AT(CLUSTERS), 1);
    g_assert_cmpuint(f.lost.items->len, ==, 0);
    g_assert_cmpuint(f.lost.n_kept, ==, 0);
}

static void test_l1_entry(void)
{
    g_autofree uint8_t *bytes = small_image_new();
    g_autofree char *text = NULL;
    g_auto(Found) f = {0};

    put_be64(bytes + AT(ACTIVE_L1), 0);
    find(&f, bytes, AT(CLUSTERS), 1);
    g_assert_cmpuint(f.lost.items->len, ==, 1);
    g_assert_true(is_kept(&f, L2_A) && is_kept(&f, DATA_A));
    g_assert_false(is_kept(&f, LEAK));
    g_assert_cmpuint(f.lost.n_kept, ==, 2);
    text = qcow2_evidence_text(&g_array_index(f.lost.items, Qcow2Evidence, 0));
    g_assert_cmpstr(text, ==,
                    "an L2 table at 0x40000, with 1 of 1 clusters leaked. It looks like the table that mapped guest "
                    "0x0-0x1fffffff (proved: L1 entry 0 is the only one without a table).");
}

/* A table whose clusters are all in use is an old copy. */
static void test_old_copy(void)
{
    g_autofree uint8_t *bytes = small_image_new();
    g_auto(Found) f = {0};

    memcpy(bytes + AT(LEAK), bytes + AT(L2_A), CLUSTER);
    find(&f, bytes, AT(CLUSTERS), 1);
    g_assert_cmpuint(f.lost.n_kept, ==, 0);
}

/* ---- hostile images ---- */

/* Nothing depends on the number of threads. */
static void test_threads(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(1);

    for (unsigned round = 0; round < 300; round++) {
        g_autofree uint8_t *bytes = small_image_new();
        g_auto(Found) one = {0};
        g_auto(Found) several = {0};

        small_image_spoil(bytes, random);
        find(&one, bytes, AT(CLUSTERS), 1);
        find(&several, bytes, AT(CLUSTERS), 4);
        g_assert_cmpuint(one.lost.n_kept, ==, several.lost.n_kept);
        g_assert_cmpuint(one.lost.items->len, ==, several.lost.items->len);
        for (guint i = 0; i < one.lost.items->len; i++) {
            g_autofree char *a = qcow2_evidence_text(&g_array_index(one.lost.items, Qcow2Evidence, i));
            g_autofree char *b = qcow2_evidence_text(&g_array_index(several.lost.items, Qcow2Evidence, i));

            g_assert_cmpstr(a, ==, b);
        }
    }
}

#define TINY       512u /* bytes of a cluster */
#define TABLES     100000u
#define L1_ENTRIES 4096u
#define PER_BLOCK  256u /* counts */

/*
 * Clusters of 512 bytes, in this order: header, refcount table, blocks, an L1 table of which every second entry has a
 * table, those tables; and TABLES leaked clusters, each of which refers to 64 others of them.
 */
typedef struct Hostile {
    uint8_t *bytes;
    uint64_t clusters;
    uint64_t first; /* leaked cluster */
} Hostile;

static Hostile hostile_new(bool all_the_same)
{
    unsigned l1_clusters = L1_ENTRIES * 8 / TINY, used = L1_ENTRIES / 2;
    unsigned blocks = (TABLES + used + 2000) / PER_BLOCK + 1, table_clusters = blocks * 8 / TINY + 1;
    unsigned l1 = 1 + table_clusters + blocks, tables = l1 + l1_clusters;
    Hostile h = {.first = tables + used};

    h.clusters = h.first + TABLES;
    h.bytes = g_malloc0(h.clusters * TINY);
    put_header(h.bytes, 9);
    put_be64(h.bytes + AT_SIZE, (uint64_t)L1_ENTRIES * 64 * TINY);
    put_be32(h.bytes + AT_L1_SIZE, L1_ENTRIES);
    put_be64(h.bytes + AT_L1_OFFSET, (uint64_t)l1 * TINY);
    put_be64(h.bytes + AT_REFTABLE_OFFSET, TINY);
    put_be32(h.bytes + AT_REFTABLE_CLUSTERS, table_clusters);
    for (unsigned i = 0; i < blocks; i++) {
        put_be64(h.bytes + TINY + (size_t)i * 8, (uint64_t)(1 + table_clusters + i) * TINY);
    }
    for (uint64_t i = 0; i < h.clusters; i++) {
        put_be16(h.bytes + (1 + table_clusters) * (size_t)TINY + i * 2, 1);
    }
    for (unsigned i = 0; i < used; i++) {
        put_be64(h.bytes + (size_t)l1 * TINY + (size_t)i * 16, COPIED | (uint64_t)(tables + i) * TINY);
    }
    for (uint64_t i = 0; i < TABLES; i++) {
        for (uint64_t k = 0; k < 64; k++) {
            uint64_t to = all_the_same ? 2 * k : (i * 7919 + k * 2 + 1) % TABLES;

            put_be64(h.bytes + (h.first + i) * TINY + k * 8, COPIED | (h.first + to) * TINY);
        }
    }
    return h;
}

/* 100,000 leaked clusters that look like tables of one another take no time to speak of, and all are kept. */
static void test_many_tables(void)
{
    for (unsigned same = 0; same < 2; same++) {
        Hostile h = hostile_new(same);
        g_autofree uint8_t *bytes = h.bytes;
        g_auto(Found) f = {0};

        g_test_timer_start();
        find(&f, bytes, h.clusters * TINY, 2);
        g_test_message("%.1f seconds", g_test_timer_elapsed());
        g_assert_cmpuint(f.lost.n_kept, >=, TABLES - 64);
        g_assert_cmpuint(f.lost.items->len, <=, QCOW2_MAX_EVIDENCE);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/evidence/words", test_words);
    g_test_add_func("/evidence/damaged-entries", test_damaged_entries);
    g_test_add_func("/evidence/subclusters", test_subclusters);
    g_test_add_func("/evidence/snapshot-entry", test_snapshot_entry);
    g_test_add_func("/evidence/nothing-lost", test_nothing_lost);
    g_test_add_func("/evidence/l1-entry", test_l1_entry);
    g_test_add_func("/evidence/old-copy", test_old_copy);
    g_test_add_func("/evidence/threads", test_threads);
    g_test_add_func("/evidence/many-tables", test_many_tables);
    return g_test_run();
}
