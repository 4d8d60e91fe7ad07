/*
 * Runs of clusters, and what is wrong with them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/map/faulty-runs.h"

#define CLUSTER 4096u

/* Clusters 0 to 9 are in use, 2 to 5 with counts that are too high, 10 to 19 free, 20 to 29 leaked; then the file
 * ends. */
static ClusterRoles *small_roles(void)
{
    ClusterRoles *roles = cluster_roles_new(30, CLUSTER);

    g_assert_true(cluster_roles_add(roles, &(ClusterRun){.first = 0, .n = 2, .role = CLUSTER_ROLE_DATA}));
    g_assert_true(
        cluster_roles_add(roles, &(ClusterRun){.first = 2, .n = 4, .role = CLUSTER_ROLE_DATA, .leaked = true}));
    g_assert_true(cluster_roles_add(roles, &(ClusterRun){.first = 6, .n = 4, .role = CLUSTER_ROLE_DATA}));
    g_assert_true(cluster_roles_add(roles, &(ClusterRun){.first = 20, .n = 10, .role = CLUSTER_ROLE_LEAKED}));
    g_assert_true(cluster_roles_finish(roles));
    return roles;
}

static ImageCheckFinding finding(ImageCheckSeverity severity, Qcow2Allocation *cluster)
{
    return (ImageCheckFinding){.severity = severity, .cluster = cluster};
}

static void expect_role(uint64_t cluster, const ClusterRun *run)
{
    g_assert_cmpint(run->role, ==,
                    cluster < 10   ? CLUSTER_ROLE_DATA
                    : cluster < 20 ? CLUSTER_ROLE_FREE
                                   : CLUSTER_ROLE_LEAKED);
    g_assert_cmpint(run->leaked, ==, (cluster >= 2 && cluster < 6) || cluster >= 20);
}

/* The clusters that are damaged, by number; and those of all runs must be the file, each once, with the roles that were
 * given. */
static void expect_damage(ImageCheckFinding *items, size_t n, const char *expected)
{
    g_autoptr(ClusterRoles) roles = small_roles();
    ImageCheckFindingList list = {.len = n, .items = items};
    ImageCheck check = {.corruptions = 1, .findings = qapi_sequence_of_ImageCheckFindingList(&list)};
    g_autoptr(FaultyRuns) runs = faulty_runs_new(roles, &check);
    g_autoptr(GString) damage = g_string_new(NULL);
    uint64_t at = 0;
    ClusterRun run;

    while (faulty_runs_next(runs, &run)) {
        g_assert_cmpuint(run.first, ==, at);
        g_assert_cmpuint(run.n, >, 0);
        for (; at < run.first + run.n; at++) {
            expect_role(at, &run);
            if (run.corrupt) {
                g_string_append_printf(damage, "%" G_GUINT64_FORMAT " ", at);
            }
        }
    }
    g_assert_cmpuint(at, ==, 30);
    g_assert_cmpstr(damage->str, ==, expected);
}

/* Without findings the runs are those of the roles. */
static void test_none(void)
{
    expect_damage(NULL, 0, "");
}

/* A corruption cuts the runs where it begins and ends; one byte of a cluster is that cluster. */
static void test_cut(void)
{
    Qcow2Allocation across = {.offset = 8 * CLUSTER, .size = 4 * CLUSTER};
    Qcow2Allocation byte = {.offset = 3 * CLUSTER + 1, .size = 1};
    Qcow2Allocation two = {.offset = 26 * CLUSTER - 1, .size = 2};
    ImageCheckFinding findings[] = {finding(IMAGE_CHECK_SEVERITY_CORRUPTION, &across),
                                    finding(IMAGE_CHECK_SEVERITY_CORRUPTION, &byte),
                                    finding(IMAGE_CHECK_SEVERITY_CORRUPTION, &two)};

    expect_damage(findings, 3, "3 8 9 10 11 25 26 ");
}

/* Findings may overlap, in any order. */
static void test_overlap(void)
{
    Qcow2Allocation a = {.offset = 4 * CLUSTER, .size = 4 * CLUSTER};
    Qcow2Allocation b = {.offset = 5 * CLUSTER, .size = CLUSTER};
    Qcow2Allocation c = {.offset = 7 * CLUSTER, .size = 2 * CLUSTER};
    Qcow2Allocation d = {.offset = 4 * CLUSTER, .size = CLUSTER};
    ImageCheckFinding findings[] = {
        finding(IMAGE_CHECK_SEVERITY_CORRUPTION, &c), finding(IMAGE_CHECK_SEVERITY_CORRUPTION, &b),
        finding(IMAGE_CHECK_SEVERITY_CORRUPTION, &a), finding(IMAGE_CHECK_SEVERITY_CORRUPTION, &d)};

    expect_damage(findings, 4, "4 5 6 7 8 ");
}

/* Leaks, errors and notes damage nothing; nor is a leak anything new where nothing uses the cluster. */
static void test_severity(void)
{
    Qcow2Allocation cluster = {.offset = 20 * CLUSTER, .size = CLUSTER};
    ImageCheckFinding findings[] = {finding(IMAGE_CHECK_SEVERITY_LEAK, &cluster),
                                    finding(IMAGE_CHECK_SEVERITY_ERROR, &cluster),
                                    finding(IMAGE_CHECK_SEVERITY_NOTE, &cluster)};

    expect_damage(findings, 3, "");
}

/* What is in use and has a leak may be damaged as well. */
static void test_leak_in_use(void)
{
    Qcow2Allocation damaged = {.offset = 4 * CLUSTER, .size = 4 * CLUSTER};
    ImageCheckFinding findings[] = {finding(IMAGE_CHECK_SEVERITY_CORRUPTION, &damaged)};

    expect_damage(findings, 1, "4 5 6 7 ");
}

/* The cluster with the faulty word is damaged as well as those that it concerns. */
static void test_word_and_victim(void)
{
    Qcow2Allocation victim = {.offset = 7 * CLUSTER, .size = CLUSTER};
    ImageCheckFinding findings[] = {finding(IMAGE_CHECK_SEVERITY_CORRUPTION, &victim)};

    findings[0].has_entry_offset = true;
    findings[0].entry_offset = 2 * CLUSTER + 8;
    expect_damage(findings, 1, "2 7 ");
}

/* Where a corruption names no cluster of the file, it is the one with the faulty word, if that is in the file. */
static void test_word(void)
{
    Qcow2Allocation outside = {.offset = 30 * CLUSTER, .size = CLUSTER};
    Qcow2Allocation far = {.offset = UINT64_MAX - 10, .size = CLUSTER};
    ImageCheckFinding findings[] = {finding(IMAGE_CHECK_SEVERITY_CORRUPTION, NULL),
                                    finding(IMAGE_CHECK_SEVERITY_CORRUPTION, &outside),
                                    finding(IMAGE_CHECK_SEVERITY_CORRUPTION, &far)};

    expect_damage(findings, 3, "");
    for (unsigned i = 0; i < 3; i++) {
        findings[i].has_entry_offset = true;
        findings[i].entry_offset = (i + 1) * CLUSTER + 8;
    }
    expect_damage(findings, 3, "1 2 3 ");
    findings[2].entry_offset = UINT64_MAX;
    expect_damage(findings, 3, "1 2 ");
}

/* A range that no number can hold goes to the end of the file. */
static void test_overflow(void)
{
    Qcow2Allocation cluster = {.offset = 28 * CLUSTER, .size = UINT64_MAX};
    ImageCheckFinding findings[] = {finding(IMAGE_CHECK_SEVERITY_CORRUPTION, &cluster)};

    expect_damage(findings, 1, "28 29 ");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/faulty-runs/none", test_none);
    g_test_add_func("/faulty-runs/cut", test_cut);
    g_test_add_func("/faulty-runs/overlap", test_overlap);
    g_test_add_func("/faulty-runs/severity", test_severity);
    g_test_add_func("/faulty-runs/leak-in-use", test_leak_in_use);
    g_test_add_func("/faulty-runs/word", test_word);
    g_test_add_func("/faulty-runs/word-and-victim", test_word_and_victim);
    g_test_add_func("/faulty-runs/overflow", test_overflow);
    return g_test_run();
}
