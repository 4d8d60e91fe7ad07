/*
 * What is at an offset, in images that are spoiled in many ways.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2-lookup.h"

#include <errno.h>

#include "block/qcow2-roles.h"
#include "counted-image.h"
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

static void begin(Fixture *f, const uint8_t *bytes)
{
    g_autoptr(GError) error = NULL;

    counted_image_open(&f->counted, bytes, AT(CLUSTERS), 1);
    f->collected = qcow2_roles_new(&f->counted.check, f->counted.image);
    counted_image_count(&f->counted, qcow2_roles_visitor(f->collected));
    f->roles = qcow2_roles_finish(f->collected, &error);
    g_assert_no_error(error);
}

static ImageCheckHostExplanation *lookup_host(Fixture *f, uint64_t offset)
{
    ImageCheckFindingList findings = {0};
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
    ImageCheckFindingList findings = {0};
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

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/lookup/spoiled", test_spoiled);
    g_test_add_func("/lookup/refused", test_refused);
    return g_test_run();
}
