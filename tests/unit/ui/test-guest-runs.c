/*
 * The guest's disk as runs of clusters, and the seams in either order.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/map/guest-runs.h"

#include <inttypes.h>

#include "ui/map/seams.h"

#define CLUSTER 65536u

/* Mappings by host, as a check gathers them. */
static Mappings mappings_of(const Mapping *items, size_t n, uint64_t step)
{
    return (Mappings){.items = (Mapping *)items, .n = n, .step = step};
}

static char *seams_of(const Mappings *mappings)
{
    GString *text = g_string_new(NULL);
    MapSeams seams;

    g_assert_true(map_seams_find(mappings, &seams));
    for (size_t i = 0; i < seams.n; i++) {
        g_string_append_printf(text, "%" PRIu64 " ", seams.clusters[i]);
    }
    map_seams_clear(&seams);
    return g_string_free(text, FALSE);
}

static void expect_seams(const Mapping *items, size_t n, const char *in_file, const char *on_disk)
{
    Mappings mappings = mappings_of(items, n, 1);
    g_autofree char *file = seams_of(&mappings);
    g_autofree char *disk = NULL;
    Mappings by_guest;

    g_assert_cmpstr(file, ==, in_file);
    g_assert_true(guest_mappings(&mappings, &by_guest));
    disk = seams_of(&by_guest);
    g_assert_cmpstr(disk, ==, on_disk);
    mappings_clear(&by_guest);
}

#define EXPECT_SEAMS(items, in_file, on_disk) expect_seams(items, G_N_ELEMENTS(items), in_file, on_disk)

static void test_seams_between_pieces(void)
{
    static const Mapping items[] = {
        {.host = 5, .guest = 10, .n = 3}, {.host = 8, .guest = 0, .n = 10}, {.host = 18, .guest = 13, .n = 2}};

    EXPECT_SEAMS(items, "8 18 ", "10 13 ");
}

static void test_no_seam_beside_a_gap(void)
{
    static const Mapping items[] = {{.host = 5, .guest = 0, .n = 3}, {.host = 9, .guest = 20, .n = 3}};

    EXPECT_SEAMS(items, "", "");
}

/* The table at 8 is between data, and is none. */
static void test_no_seam_beside_a_table(void)
{
    static const Mapping items[] = {{.host = 5, .guest = 0, .n = 3},
                                    {.host = 8, .guest = 8192, .n = 1, .kind = MAPPING_L2},
                                    {.host = 9, .guest = 3, .n = 3}};

    EXPECT_SEAMS(items, "", "3 ");
}

static void test_no_seam_in_compressed_data(void)
{
    static const Mapping items[] = {{.host = 5, .guest = 7, .n = 1, .kind = MAPPING_COMPRESSED},
                                    {.host = 6, .guest = 2, .n = 1, .kind = MAPPING_COMPRESSED},
                                    {.host = 7, .guest = 9, .n = 1}};

    EXPECT_SEAMS(items, "", "");
}

/* The disk and a snapshot share 5 to 14; both go on with what is theirs. */
static void test_seams_beside_snapshots(void)
{
    static const Mapping items[] = {{.host = 5, .guest = 0, .n = 10, .tree = 0},
                                    {.host = 5, .guest = 0, .n = 10, .tree = 1},
                                    {.host = 15, .guest = 10, .n = 5, .tree = 1},
                                    {.host = 20, .guest = 10, .n = 5, .tree = 0}};

    EXPECT_SEAMS(items, "20 ", "10 ");
}

/* One user of 8 and 9 has both in a row, which is no seam, whoever else has one of them. */
static void test_no_seam_within_a_user(void)
{
    static const Mapping items[] = {{.host = 8, .guest = 0, .n = 2, .tree = 0},
                                    {.host = 9, .guest = 40, .n = 1, .tree = 1},
                                    {.host = 10, .guest = 2, .n = 1, .tree = 0}};

    EXPECT_SEAMS(items, "", "");
}

/* Of what is not all there, nobody knows where it breaks. */
static void test_no_seam_in_a_part(void)
{
    static const Mapping items[] = {{.host = 5, .guest = 10, .n = 3}, {.host = 8, .guest = 0, .n = 1}};
    Mappings mappings = mappings_of(items, 2, 2);
    g_autofree char *seams = seams_of(&mappings);

    g_assert_cmpstr(seams, ==, "");
}

/* ---- runs ---- */

/* "5xd 2x. 1xd! " for five clusters of data, two of none, a damaged one; c is compressed. */
static char *runs_of(const Mappings *mappings, uint64_t clusters, const ImageCheck *check)
{
    GString *text = g_string_new(NULL);
    Mappings by_guest;
    GuestRuns *runs;
    uint64_t at = 0;
    ClusterRun run;

    g_assert_true(guest_mappings(mappings, &by_guest));
    runs = guest_runs_new(&by_guest, clusters, CLUSTER, check);
    while (guest_runs_next(runs, &run)) {
        char letter = run.role == CLUSTER_ROLE_DATA ? 'd' : run.role == CLUSTER_ROLE_COMPRESSED ? 'c' : '.';

        g_assert_cmpuint(run.first, ==, at);
        g_assert_cmpuint(run.n, >, 0);
        at += run.n;
        g_string_append_printf(text, "%" PRIu64 "x%c%s ", run.n, letter, run.corrupt ? "!" : "");
    }
    g_assert_cmpuint(at, ==, clusters);
    guest_runs_free(runs);
    mappings_clear(&by_guest);
    return g_string_free(text, FALSE);
}

static void test_order_of_the_disk(void)
{
    static const Mapping items[] = {{.host = 3, .guest = 0, .n = 1, .kind = MAPPING_L2},
                                    {.host = 4, .guest = 20, .n = 5},
                                    {.host = 9, .guest = 2, .n = 3},
                                    {.host = 12, .guest = 8, .n = 2, .kind = MAPPING_COMPRESSED},
                                    {.host = 14, .guest = 6, .n = 9, .tree = 1},
                                    {.host = 30, .guest = 40, .n = 100}};
    Mappings mappings = mappings_of(items, G_N_ELEMENTS(items), 1);
    ImageCheck check = {0};
    g_autofree char *runs = runs_of(&mappings, 50, &check);

    g_assert_cmpstr(runs, ==, "2x. 3xd 3x. 1xc 11x. 5xd 15x. 10xd ");
}

static void test_empty_disks(void)
{
    Mappings none = {.step = 1};
    ImageCheck check = {0};
    g_autofree char *nothing = runs_of(&none, 0, &check);
    g_autofree char *zeros = runs_of(&none, UINT64_C(1) << 54, &check);

    g_assert_cmpstr(nothing, ==, "");
    g_assert_cmpstr(zeros, ==, "18014398509481984x. ");
}

/* What is damaged is so without data too; findings of snapshots and mere notes are not of the disk. */
static void test_damage(void)
{
    static const Mapping items[] = {{.host = 4, .guest = 0, .n = 10}};
    Mappings mappings = mappings_of(items, 1, 1);
    Qcow2Allocation byte = {.offset = 3 * CLUSTER + 5, .size = 1}, beyond = {.offset = UINT64_MAX, .size = UINT64_MAX};
    Qcow2Allocation lost = {.offset = 9 * CLUSTER, .size = 3 * CLUSTER};
    char snapshot[] = "s";
    ImageCheckFinding findings[] = {
        {.severity = IMAGE_CHECK_SEVERITY_CORRUPTION, .guest = &byte},
        {.severity = IMAGE_CHECK_SEVERITY_CORRUPTION, .guest = &beyond},
        {.severity = IMAGE_CHECK_SEVERITY_CORRUPTION},
        {.severity = IMAGE_CHECK_SEVERITY_CORRUPTION, .guest = &lost, .snapshot = snapshot},
        {.severity = IMAGE_CHECK_SEVERITY_NOTE, .guest = &lost},
    };
    ImageCheckFindingList list = {.len = G_N_ELEMENTS(findings), .items = findings};
    ImageCheck check = {.findings = qapi_sequence_of_ImageCheckFindingList(&list)};
    g_autofree char *damaged = runs_of(&mappings, 20, &check);
    g_autofree char *with_lost = NULL;

    g_assert_cmpstr(damaged, ==, "3xd 1xd! 6xd 10x. ");
    check.guest_lost = (Qcow2AllocationList){.len = 1, .items = &lost};
    with_lost = runs_of(&mappings, 20, &check);
    g_assert_cmpstr(with_lost, ==, "3xd 1xd! 5xd 1xd! 2x.! 8x. ");
}

/* Of each four clusters the first was looked at: 8 and 12 have data, 16 has not, 20 is compressed. */
static void test_part_of_the_mappings(void)
{
    static const Mapping items[] = {{.host = 4, .guest = 6, .n = 8},
                                    {.host = 12, .guest = 20, .n = 1, .kind = MAPPING_COMPRESSED}};
    Mappings mappings = mappings_of(items, 2, 4);
    ImageCheck check = {0};
    g_autofree char *runs = runs_of(&mappings, 30, &check);

    g_assert_cmpstr(runs, ==, "8x. 8xd 4x. 4xc 6x. ");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/seams/between-pieces", test_seams_between_pieces);
    g_test_add_func("/seams/beside-a-gap", test_no_seam_beside_a_gap);
    g_test_add_func("/seams/beside-a-table", test_no_seam_beside_a_table);
    g_test_add_func("/seams/compressed", test_no_seam_in_compressed_data);
    g_test_add_func("/seams/snapshots", test_seams_beside_snapshots);
    g_test_add_func("/seams/within-a-user", test_no_seam_within_a_user);
    g_test_add_func("/seams/in-a-part", test_no_seam_in_a_part);
    g_test_add_func("/guest-runs/order", test_order_of_the_disk);
    g_test_add_func("/guest-runs/empty", test_empty_disks);
    g_test_add_func("/guest-runs/damage", test_damage);
    g_test_add_func("/guest-runs/part", test_part_of_the_mappings);
    return g_test_run();
}
