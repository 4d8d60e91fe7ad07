/*
 * What is at an offset, in images that are spoiled in many ways.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/lookup.h"

#include <errno.h>

#include "block/qcow2/inspect/roles.h"
#include "counted-image.h"
#include "faults.h"
#include "small-image.h"

typedef struct Fixture {
    CountedImage counted;
    Qcow2Roles *collected;
    ClusterRoles *roles;
} Fixture;

static void fixture_clear(Fixture *f)
{
    cluster_roles_free(f->roles);
    qcow2_roles_free(f->collected);
    counted_image_clear(&f->counted);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Fixture, fixture_clear)

static void count(Fixture *f)
{
    g_autoptr(GError) error = NULL;

    f->collected = qcow2_roles_new(&f->counted.check, f->counted.image);
    counted_image_count(&f->counted, qcow2_roles_visitor(f->collected));
    f->roles = qcow2_roles_finish(f->collected, &error);
    g_assert_no_error(error);
}

static void begin(Fixture *f, const uint8_t *bytes)
{
    counted_image_open(&f->counted, bytes, AT(CLUSTERS), 1);
    count(f);
}

static ImageCheckHostExplanation *lookup_host(Fixture *f, uint64_t offset)
{
    QapiSequence findings = {0};
    g_autoptr(GError) error = NULL;
    ImageCheckHostExplanation *host = qcow2_lookup_host(&f->counted.check, offset, f->roles, &findings, &error);

    g_assert_no_error(error);
    return host;
}

static ImageCheckGuestExplanation *lookup_guest(Fixture *f, uint64_t offset, const char *snapshot)
{
    g_autoptr(GError) error = NULL;
    ImageCheckGuestExplanation *guest = qcow2_lookup_guest(&f->counted.check, offset, snapshot, &error);

    g_assert_no_error(error);
    return guest;
}

/* As many users as references; but where data weighs more than one, its table may be named at one L1 entry alone. */
static void check_host(Fixture *f, uint64_t cluster)
{
    g_autoptr(ImageCheckHostExplanation) host = lookup_host(f, AT(cluster) + 5);

    g_assert_cmpuint(host->reference, ==, refmap_get(f->counted.check.counting.refs, cluster));
    g_assert_cmpuint(host->users.len, <=, host->reference);
    g_assert_cmpint(host->users.len == 0, ==, host->reference == 0);
    for (size_t i = 0; i < host->users.len; i++) {
        const Qcow2Allocation *taken = host->users.items[i].cluster;

        g_assert_cmpuint(taken->offset, <=, AT(cluster));
        g_assert_cmpuint(taken->offset + taken->size, >=, AT(cluster + 1));
    }
}

static bool has_user(const ImageCheckHostExplanation *host, uint64_t entry_offset)
{
    for (size_t i = 0; i < host->users.len; i++) {
        if (host->users.items[i].has_entry_offset && host->users.items[i].entry_offset == entry_offset) {
            return true;
        }
    }
    return false;
}

/* Where data is found, the way back leads to the same entry. */
static void check_guest(Fixture *f, uint64_t offset, const char *snapshot)
{
    g_autoptr(ImageCheckGuestExplanation) guest = lookup_guest(f, offset, snapshot);
    bool damaged = guest->state == IMAGE_CHECK_GUEST_STATE_DAMAGED;

    g_assert_cmpint(damaged, ==, guest->problem != NULL);
    if (guest->host && !damaged && guest->host->offset < AT(CLUSTERS)) {
        g_autoptr(ImageCheckHostExplanation) host = lookup_host(f, guest->host->offset);

        g_assert_true(host->reference == 0 || has_user(host, guest->l2->entry_offset));
    }
}

static void test_spoiled(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(2);

    for (unsigned round = 0; round < 200; round++) {
        g_autofree uint8_t *bytes = small_image_new();
        g_auto(Fixture) f = {0};

        small_image_spoil(bytes, random);
        begin(&f, bytes);
        for (uint64_t cluster = 0; cluster < CLUSTERS; cluster++) {
            check_host(&f, cluster);
        }
        for (uint64_t entry = 0; entry < 4; entry++) {
            check_guest(&f, entry * CLUSTER + 100, NULL);
            check_guest(&f, (UINT64_C(512) << 20) + entry * CLUSTER, NULL);
            check_guest(&f, entry * CLUSTER, "s");
        }
    }
}

/* Snapshots are found by name, then by ID; and refused where there is none, or no such offset. */
static void test_refused(void)
{
    g_autofree uint8_t *bytes = small_image_new();
    g_auto(Fixture) f = {0};
    QapiSequence findings = {0};
    static const struct {
        uint64_t offset;
        const char *snapshot;
    } refused[] = {{UINT64_C(1) << 30, NULL}, {UINT64_MAX, NULL}, {0, "t"}, {0, ""}, {UINT64_MAX, "s"}};

    begin(&f, bytes);
    check_guest(&f, 0, "1");
    for (size_t i = 0; i < G_N_ELEMENTS(refused); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(qcow2_lookup_guest(&f.counted.check, refused[i].offset, refused[i].snapshot, &error));
        g_assert_error(error, BLOCK_ERROR, ENOENT);
    }
    for (uint64_t offset = AT(CLUSTERS); offset; offset <<= 1) {
        g_autoptr(GError) error = NULL;

        g_assert_null(qcow2_lookup_host(&f.counted.check, offset, f.roles, &findings, &error));
        g_assert_error(error, BLOCK_ERROR, ENOENT);
    }
}

static void close_nothing(BlockSource *source)
{
}

/* The way ends where a table cannot be read, and the answer says at which; the other tree is as good as ever. */
static void test_unreadable(void)
{
    static const BlockSourceOps ops = {.read_at = faulty_read_at, .close = close_nothing};
    static const struct {
        unsigned cluster;
        const char *problem;
    } cases[] = {{ACTIVE_L1, "the L1 table cannot be read; reading fails with an I/O error"},
                 {L2_A, "the L2 table cannot be read; reading fails with an I/O error"}};

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree uint8_t *bytes = small_image_new();
        FaultySource source = faulty_source(bytes, AT(CLUSTERS), AT(cases[i].cluster), CLUSTER);
        g_auto(Fixture) f = {0};
        g_autoptr(ImageCheckGuestExplanation) now = NULL, snapshot = NULL;

        source.base.ops = &ops;
        counted_image_open_source(&f.counted, &source.base, 1);
        count(&f);
        now = lookup_guest(&f, 0, NULL);
        g_assert_cmpint(now->state, ==, IMAGE_CHECK_GUEST_STATE_DAMAGED);
        g_assert_cmpstr(now->problem, ==, cases[i].problem);
        snapshot = lookup_guest(&f, 0, "s");
        g_assert_cmpint(snapshot->state, ==, IMAGE_CHECK_GUEST_STATE_DATA);
        g_assert_cmpuint(snapshot->host->offset, ==, AT(DATA_C));
    }
}

/* A snapshot whose L1 table is at an impossible place has no way that could be followed. */
static void test_impossible_l1(void)
{
    g_autofree uint8_t *bytes = small_image_new();
    g_auto(Fixture) f = {0};
    g_autoptr(GError) error = NULL;

    put_be64(bytes + AT(SNAPSHOTS), AT(SNAPSHOT_L1) + 512);
    begin(&f, bytes);
    g_assert_null(qcow2_lookup_guest(&f.counted.check, 0, "s", &error));
    g_assert_error(error, BLOCK_ERROR, ENOENT);
    g_assert_cmpstr(error->message, ==, "The L1 table cannot be followed");
}

/* What an entry says that cannot be is called damaged, and why. */
static void test_impossible_entries(void)
{
    static const struct {
        uint64_t incompatible; /* features */
        uint64_t entry;
        uint64_t bitmap; /* of subclusters */
        const char *problem;
    } cases[] = {
        {4, (UINT64_C(1) << 62) | AT(DATA_A), 0,
         "the L2 entry is of compressed data, which a data file cannot have; reading fails with an I/O error"},
        {16, 0, 1,
         "the entry has subclusters as stored, and no place in the file; reading any of them fails with an I/O error"},
        {16, 0, 2, /* not the one that is asked for */
         "the entry has subclusters as stored, and no place in the file; reading any of them fails with an I/O error"},
        {16, AT(DATA_A), UINT64_C(0x100000001),
         "the entry has subclusters as stored and as zeros at once; reading any of them fails with an I/O error"},
        {16, AT(DATA_A), UINT64_C(0x8000000080000000),
         "the entry has subclusters as stored and as zeros at once; reading any of them fails with an I/O error"},
        {0, AT(DATA_A) + 512, 0, "the offset in the L2 entry is not cluster aligned; reading fails with an I/O error"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree uint8_t *bytes = small_image_new();
        g_auto(Fixture) f = {0};
        g_autoptr(ImageCheckGuestExplanation) guest = NULL;

        put_be64(bytes + AT_SIZE, UINT64_C(1) << 29); /* extended entries map half as much */
        put_be64(bytes + AT_INCOMPATIBLE, cases[i].incompatible);
        put_be64(bytes + AT(L2_A), cases[i].entry);
        put_be64(bytes + AT(L2_A) + 8, cases[i].bitmap);
        begin(&f, bytes);
        guest = lookup_guest(&f, 0, NULL);
        g_assert_cmpint(guest->state, ==, IMAGE_CHECK_GUEST_STATE_DAMAGED);
        g_assert_cmpstr(guest->problem, ==, cases[i].problem);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/lookup/spoiled", test_spoiled);
    g_test_add_func("/lookup/refused", test_refused);
    g_test_add_func("/lookup/unreadable", test_unreadable);
    g_test_add_func("/lookup/impossible-l1", test_impossible_l1);
    g_test_add_func("/lookup/impossible-entries", test_impossible_entries);
    return g_test_run();
}
