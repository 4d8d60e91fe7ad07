/*
 * What each cluster is there for.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/roles.h"

#include "counted-image.h"
#include "small-image.h"

#define SNAPSHOTS_MAX 2

typedef struct Fixture {
    CountedImage counted;
    Qcow2Roles *collected;
    ClusterRoles *roles;
    uint64_t exclusive[SNAPSHOTS_MAX];
} Fixture;

static void fixture_clear(Fixture *f)
{
    cluster_roles_free(f->roles);
    qcow2_roles_free(f->collected);
    counted_image_clear(&f->counted);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Fixture, fixture_clear)

static void begin(Fixture *f, const uint8_t *bytes, size_t size, unsigned workers)
{
    g_autoptr(GError) error = NULL;

    counted_image_open(&f->counted, bytes, size, workers);
    f->collected = qcow2_roles_new(&f->counted.check, f->counted.image);
    counted_image_count(&f->counted, qcow2_roles_visitor(f->collected));
    f->roles = qcow2_roles_finish(f->collected, &error);
    g_assert_no_error(error);
    qcow2_roles_exclusive(f->collected, f->exclusive, f->counted.check.snapshots.items->len);
}

static ClusterRun run_at(const Fixture *f, uint64_t cluster)
{
    ClusterRun run;

    g_assert_true(cluster_roles_next(f->roles, &cluster, &run));
    return run;
}

static void expect(const Fixture *f, uint64_t cluster, ClusterRole role, bool corrupt)
{
    ClusterRun run = run_at(f, cluster);

    g_assert_cmpint(run.role, ==, role);
    g_assert_cmpint(run.corrupt, ==, corrupt);
}

/* Of an image that has one of everything. */
static void test_every_role(void)
{
    g_autofree uint8_t *bytes = small_image_new();
    g_auto(Fixture) f = {0};

    /* guest cluster 5 is compressed, in cluster 15 */
    put_be64(bytes + AT(L2_A) + 8 * 5, UINT64_C(1) << 62 | AT(LEAK));
    begin(&f, bytes, AT(CLUSTERS), 1);
    expect(&f, HEADER, CLUSTER_ROLE_HEADER, false);
    expect(&f, REFTABLE, CLUSTER_ROLE_REFCOUNT_TABLE, false);
    expect(&f, REFBLOCK, CLUSTER_ROLE_REFCOUNT_BLOCK, false);
    expect(&f, ACTIVE_L1, CLUSTER_ROLE_L1, false);
    expect(&f, L2_A, CLUSTER_ROLE_L2, false);
    expect(&f, DATA_A, CLUSTER_ROLE_DATA, false);
    expect(&f, SNAPSHOTS, CLUSTER_ROLE_SNAPSHOT_TABLE, false);
    expect(&f, SNAPSHOT_L1, CLUSTER_ROLE_L1, false);
    expect(&f, L2_C, CLUSTER_ROLE_SNAPSHOT_DATA, false);
    expect(&f, DATA_C, CLUSTER_ROLE_SNAPSHOT_DATA, false);
    expect(&f, DIRECTORY, CLUSTER_ROLE_BITMAP, false);
    expect(&f, BITMAP_TABLE, CLUSTER_ROLE_BITMAP, false);
    expect(&f, BITMAP_DATA, CLUSTER_ROLE_BITMAP, false);
    expect(&f, LEAK, CLUSTER_ROLE_COMPRESSED, false);
    /* L1 table, L2 table and data */
    g_assert_cmpuint(f.exclusive[0], ==, 3);
}

/* Runs are as long as they can be, and end with the file. */
static void test_runs(void)
{
    g_autofree uint8_t *bytes = small_image_new();
    g_auto(Fixture) f = {0};
    ClusterRun run;
    uint64_t at = 0;
    unsigned n = 0;

    begin(&f, bytes, AT(CLUSTERS), 1);
    g_assert_cmpuint(cluster_roles_clusters(f.roles), ==, CLUSTERS);
    g_assert_cmpuint(cluster_roles_cluster_size(f.roles), ==, CLUSTER);
    while (cluster_roles_next(f.roles, &at, &run)) {
        n++;
    }
    g_assert_cmpuint(at, ==, CLUSTERS);
    /* pairs: L2 tables, active data, the snapshot's table and data; three of bitmaps */
    g_assert_cmpuint(n, ==, CLUSTERS - 1 - 1 - 1 - 2);
    run = run_at(&f, BITMAP_TABLE);
    g_assert_cmpuint(run.first, ==, BITMAP_TABLE);
    g_assert_cmpuint(run.n, ==, 2);
    run = run_at(&f, LEAK);
    g_assert_cmpint(run.role, ==, CLUSTER_ROLE_LEAKED);
}

/* A count that is too low is a corruption, one that is too high a leak at most. */
static void test_counts(void)
{
    g_autofree uint8_t *bytes = small_image_new();
    g_auto(Fixture) f = {0};

    put_refcount(bytes, DATA_A, 0);
    put_refcount(bytes, DATA_B, 7);
    put_refcount(bytes, LEAK, 0);
    begin(&f, bytes, AT(CLUSTERS), 1);
    expect(&f, DATA_A, CLUSTER_ROLE_DATA, true);
    expect(&f, DATA_B, CLUSTER_ROLE_DATA, false);
    expect(&f, LEAK, CLUSTER_ROLE_FREE, false);
    g_assert_false(run_at(&f, DATA_A).leaked);
    g_assert_true(run_at(&f, DATA_B).leaked);
    g_assert_false(run_at(&f, LEAK).leaked);
}

/* A piece with more runs than are kept as such has the same roles as one with few. */
static void test_many_runs(void)
{
    enum { RUNS = 20000 };
    g_autoptr(ClusterRoles) roles = cluster_roles_new(4 * RUNS, 4096);
    uint64_t at = 0;
    ClusterRun run;

    for (uint64_t i = 0; i < RUNS; i++) {
        g_assert_true(cluster_roles_add(roles, &(ClusterRun){4 * i, 1 + i % 3, CLUSTER_ROLE_DATA, i % 2, i % 5 == 0}));
    }
    g_assert_true(cluster_roles_finish(roles));
    for (uint64_t i = 0; i < RUNS; i++) {
        g_assert_true(cluster_roles_next(roles, &at, &run));
        g_assert_cmpuint(run.first, ==, 4 * i);
        g_assert_cmpuint(run.n, ==, 1 + i % 3);
        g_assert_cmpint(run.role, ==, CLUSTER_ROLE_DATA);
        g_assert_cmpint(run.corrupt, ==, i % 2);
        g_assert_cmpint(run.leaked, ==, i % 5 == 0);
        g_assert_true(cluster_roles_next(roles, &at, &run));
        g_assert_cmpint(run.role, ==, CLUSTER_ROLE_FREE);
        g_assert_cmpuint(run.n, ==, 3 - i % 3);
    }
}

/* Counts of one bit: what has two users is corrupt, and metadata with data on it is known even so. */
static void test_overflow(void)
{
    g_autofree uint8_t *bytes = small_image_new();
    g_auto(Fixture) f = {0};

    put_be32(bytes + AT_REFCOUNT_ORDER, 0);
    memset(bytes + AT(REFBLOCK), 0, CLUSTER);
    put_be16(bytes + AT(REFBLOCK), 0xffff);
    put_be64(bytes + AT(L2_A) + 8, AT(DATA_A));  /* data twice */
    put_be64(bytes + AT(L2_A) + 16, AT(L2_B));   /* data on an L2 table */
    put_be64(bytes + AT(SNAPSHOT_L1), AT(L2_A)); /* an L2 table in two trees */
    begin(&f, bytes, AT(CLUSTERS), 1);
    expect(&f, DATA_A, CLUSTER_ROLE_DATA, true);
    expect(&f, L2_B, CLUSTER_ROLE_SHARED, true);
    expect(&f, L2_A, CLUSTER_ROLE_L2, true);
    expect(&f, DATA_B, CLUSTER_ROLE_DATA, false);
}

/* A file with a hole of 4 TiB between its clusters has few runs. */
static void test_far_apart(void)
{
    g_autoptr(ClusterRoles) roles = cluster_roles_new(UINT64_C(1) << 40, 4096);
    const ClusterRun runs[] = {
        {0, 1, CLUSTER_ROLE_HEADER, false},
        {7, 100000, CLUSTER_ROLE_DATA, false},
        {100007, 1, CLUSTER_ROLE_DATA, true},
        {UINT64_C(1) << 30, 65536, CLUSTER_ROLE_DATA, false},
    };
    ClusterRun run;
    uint64_t at = 0;

    for (size_t i = 0; i < G_N_ELEMENTS(runs); i++) {
        g_assert_true(cluster_roles_add(roles, &runs[i]));
    }
    g_assert_true(cluster_roles_finish(roles));
    for (size_t i = 0; i < G_N_ELEMENTS(runs); i++) {
        do {
            g_assert_true(cluster_roles_next(roles, &at, &run));
        } while (run.role == CLUSTER_ROLE_FREE);
        g_assert_cmpuint(run.first, ==, runs[i].first);
        g_assert_cmpuint(run.n, ==, runs[i].n);
        g_assert_cmpint(run.role, ==, runs[i].role);
        g_assert_cmpint(run.corrupt, ==, runs[i].corrupt);
    }
    g_assert_true(cluster_roles_next(roles, &at, &run));
    g_assert_cmpuint(run.first + run.n, ==, UINT64_C(1) << 40);
    g_assert_false(cluster_roles_next(roles, &at, &run));
}

/* ---- the same by going through the users of each cluster ---- */

static bool is_data(const Qcow2User *user)
{
    return user->structure == IMAGE_CHECK_STRUCTURE_DATA || user->structure == IMAGE_CHECK_STRUCTURE_COMPRESSED_DATA;
}

static ClusterRole metadata_role(ImageCheckStructure structure)
{
    switch (structure) {
    case IMAGE_CHECK_STRUCTURE_HEADER:
        return CLUSTER_ROLE_HEADER;
    case IMAGE_CHECK_STRUCTURE_REFCOUNT_TABLE:
        return CLUSTER_ROLE_REFCOUNT_TABLE;
    case IMAGE_CHECK_STRUCTURE_REFCOUNT_BLOCK:
        return CLUSTER_ROLE_REFCOUNT_BLOCK;
    case IMAGE_CHECK_STRUCTURE_L1:
        return CLUSTER_ROLE_L1;
    case IMAGE_CHECK_STRUCTURE_L2:
        return CLUSTER_ROLE_L2;
    case IMAGE_CHECK_STRUCTURE_SNAPSHOT_TABLE:
        return CLUSTER_ROLE_SNAPSHOT_TABLE;
    default:
        return CLUSTER_ROLE_BITMAP;
    }
}

static ClusterRole role_by_users(const GArray *users, uint64_t stored)
{
    ClusterRole metadata = CLUSTER_ROLE_FREE;
    bool data = false, compressed = false, active = false, mixed = false;

    for (guint i = 0; i < users->len; i++) {
        const Qcow2User *user = &g_array_index(users, Qcow2User, i);

        active = active || user->snapshot == QCOW2_TREE_ACTIVE;
        data = data || is_data(user);
        compressed = compressed || user->structure == IMAGE_CHECK_STRUCTURE_COMPRESSED_DATA;
        if (!is_data(user)) {
            mixed = mixed || (metadata && metadata != metadata_role(user->structure));
            metadata = metadata_role(user->structure);
        }
    }
    if (!users->len) {
        return stored ? CLUSTER_ROLE_LEAKED : CLUSTER_ROLE_FREE;
    }
    if (mixed || (metadata && data)) {
        return CLUSTER_ROLE_SHARED;
    }
    if (!active && (data || metadata == CLUSTER_ROLE_L2)) {
        return CLUSTER_ROLE_SNAPSHOT_DATA;
    }
    return metadata ? metadata : compressed ? CLUSTER_ROLE_COMPRESSED : CLUSTER_ROLE_DATA;
}

/* The snapshot that is the only one to have all @users; -1 where there is none. */
static int owner_by_users(const GArray *users)
{
    int owner = -1;

    for (guint i = 0; i < users->len; i++) {
        const Qcow2User *user = &g_array_index(users, Qcow2User, i);

        if (user->weight != 1 || (i > 0 && owner != user->snapshot)) {
            return -1;
        }
        owner = user->snapshot;
    }
    return owner;
}

/* A second snapshot, whose L1 table is in what was the leaked cluster. */
static void add_second_snapshot(uint8_t *bytes)
{
    uint8_t *second = bytes + AT(SNAPSHOTS) + 64;

    memcpy(second, bytes + AT(SNAPSHOTS), 58);
    put_be64(second, AT(LEAK));
    put_be32(bytes + AT_NB_SNAPSHOTS, 2);
    put_be64(bytes + AT(LEAK), AT(L2_C));
}

/* However an image is spoiled, the roles are what the users of each cluster make of it. */
static void test_roles_are_the_users(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(1);

    for (unsigned round = 0; round < 300; round++) {
        g_autofree uint8_t *bytes = small_image_new();
        g_auto(Fixture) f = {0};
        uint64_t exclusive[SNAPSHOTS_MAX] = {0};

        if (round % 2) {
            add_second_snapshot(bytes);
        }
        small_image_spoil(bytes, random);
        begin(&f, bytes, AT(CLUSTERS), 1 + round % 4);
        for (uint64_t cluster = 0; cluster < cluster_roles_clusters(f.roles); cluster++) {
            Qcow2ClusterRange range = {cluster, 1};
            g_autoptr(GArray) users = counted_image_users(&f.counted, &range, 1);
            uint64_t stored = 0;
            bool known = qcow2_stored_count(f.counted.check.stored, cluster, &stored);
            ClusterRun run = run_at(&f, cluster);
            int owner = owner_by_users(users);

            g_assert_cmpint(run.role, ==, role_by_users(users, stored));
            g_assert_cmpint(run.leaked, ==, known && stored > refmap_get(f.counted.check.counting.refs, cluster));
            g_assert_cmpint(run.corrupt, ==,
                            run.role == CLUSTER_ROLE_SHARED ||
                                (known && stored < refmap_get(f.counted.check.counting.refs, cluster)));
            if (owner >= 0) {
                exclusive[owner]++;
            }
        }
        g_assert_cmpuint(f.exclusive[0], ==, exclusive[0]);
        g_assert_cmpuint(f.exclusive[1], ==, exclusive[1]);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/roles/every-role", test_every_role);
    g_test_add_func("/roles/runs", test_runs);
    g_test_add_func("/roles/counts", test_counts);
    g_test_add_func("/roles/overflow", test_overflow);
    g_test_add_func("/roles/many-runs", test_many_runs);
    g_test_add_func("/roles/far-apart", test_far_apart);
    g_test_add_func("/roles/roles-are-the-users", test_roles_are_the_users);
    return g_test_run();
}
