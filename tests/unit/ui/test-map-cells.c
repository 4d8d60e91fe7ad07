/*
 * From runs of clusters to cells of a picture.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/map/cells.h"

#include <glib.h>

#define TIB_16 (UINT64_C(1) << 28) /* clusters of 64 KiB; a cell is 256 of them */

typedef struct Runs {
    const ClusterRun *next, *end;
} Runs;

static bool next_run(void *opaque, ClusterRun *run)
{
    Runs *runs = opaque;

    if (runs->next == runs->end) {
        return false;
    }
    *run = *runs->next++;
    return true;
}

/* One letter a role, in the order of ClusterRole. */
static const char letters[] = ".HtrLldcTsbe?X";

/* "5+2:d16! " are two cells from the sixth on of data, all of it in use and some of it damaged; ? is a leak. A seam in
 * front of them is a bar. */
static void describe(void *opaque, uint32_t first, uint32_t n, const MapCell *cell)
{
    static const char *const marks[] = {"", "?", "k", "!"};

    g_string_append_printf(opaque, "%s%u+%u:%c%u%s ", cell->seam ? "|" : "", first, n, letters[cell->role], cell->fill,
                           marks[cell->mark]);
}

static MapTotals expect_cells(uint64_t clusters, const ClusterRun *runs, size_t n, const char *expected)
{
    static const uint64_t seams[] = {100, 103, 104, 110, 120};
    Runs source = {runs, runs + n};
    MapImage image = {.next_run = next_run, .opaque = &source, .seams = seams, .n_seams = G_N_ELEMENTS(seams)};
    MapLayout layout = map_layout(MAP_CURVE_HILBERT, clusters);
    g_autoptr(GString) cells = g_string_new(NULL);
    uint64_t sum = 0;
    MapTotals totals;

    map_cells(&layout, &image, describe, cells, &totals);
    g_assert_cmpstr(cells->str, ==, expected);
    for (ClusterRole role = 0; role < CLUSTER_ROLE__MAX; role++) {
        sum += totals.clusters[role];
    }
    g_assert_cmpuint(sum, ==, clusters);
    return totals;
}

/* Where a cell is a cluster, cells are the runs, and what lies between them is free. */
static void test_one_each(void)
{
    static const ClusterRun runs[] = {{0, 1, CLUSTER_ROLE_HEADER}, {1, 2, CLUSTER_ROLE_L2},
                                      {5, 3, CLUSTER_ROLE_DATA},   {8, 1, CLUSTER_ROLE_DATA, true},
                                      {9, 1, CLUSTER_ROLE_LEAKED}, {10, 1, CLUSTER_ROLE_LEAKED, .kept = true}};
    MapTotals totals = expect_cells(13, runs, G_N_ELEMENTS(runs),
                                    "0+1:H16 1+2:l16 3+2:.0 5+3:d16 8+1:d16! 9+1:?16? 10+1:?16k 11+2:.0 ");

    g_assert_cmpuint(totals.clusters[CLUSTER_ROLE_FREE], ==, 4);
    g_assert_cmpuint(totals.clusters[CLUSTER_ROLE_DATA], ==, 4);
    g_assert_cmpuint(totals.clusters[CLUSTER_ROLE_LEAKED], ==, 2);
    g_assert_cmpuint(totals.damaged, ==, 1);
}

/* Seams are at 100, 103, 104, 110 and 120: within runs, between two, and behind the last. */
static void test_seams(void)
{
    static const ClusterRun runs[] = {
        {98, 4, CLUSTER_ROLE_DATA}, {102, 2, CLUSTER_ROLE_DATA}, {104, 2, CLUSTER_ROLE_L2}};

    expect_cells(107, runs, G_N_ELEMENTS(runs), "0+98:.0 98+2:d16 |100+3:d16 |103+1:d16 |104+2:l16 106+1:.0 ");
}

/* Runs of one look make one, and a file without a run is free. */
static void test_merged(void)
{
    static const ClusterRun runs[] = {{0, 4, CLUSTER_ROLE_DATA}, {4, 4, CLUSTER_ROLE_DATA}};

    expect_cells(8, runs, 2, "0+8:d16 ");
    expect_cells(8, runs, 0, "0+8:.0 ");
    expect_cells(0, runs, 2, "");
}

/* The role of a cell is that of most of its clusters that are in use, were they few: of 200 free, 30 data and 26 L2. */
static void test_dominant(void)
{
    static const ClusterRun runs[] = {{200, 26, CLUSTER_ROLE_L2}, {226, 30, CLUSTER_ROLE_DATA}};

    expect_cells(TIB_16, runs, 2, "0+1:d3 1+1048575:.0 "); /* 56 of 256 are 3.5 of 16 */
}

/* Of as many of each, it is the one that comes first in the list of roles. */
static void test_tie(void)
{
    static const ClusterRun runs[] = {{0, 10, CLUSTER_ROLE_DATA}, {10, 10, CLUSTER_ROLE_L2}};

    expect_cells(TIB_16, runs, 2, "0+1:l1 1+1048575:.0 ");
}

/* One cluster of 256 is to be seen as in use, and one that is missing is to be seen too. */
static void test_fill_edges(void)
{
    static const ClusterRun runs[] = {
        {0, 1, CLUSTER_ROLE_DATA}, {256, 255, CLUSTER_ROLE_DATA}, {512, 256, CLUSTER_ROLE_DATA}};

    expect_cells(TIB_16, runs, 3, "0+1:d1 1+1:d15 2+1:d16 3+1048573:.0 ");
}

/* One leak among data marks its cell, one damaged cluster too; damage is worse. */
static void test_marks(void)
{
    static const ClusterRun runs[] = {
        {0, 100, CLUSTER_ROLE_DATA},   {100, 1, CLUSTER_ROLE_LEAKED},     {101, 155, CLUSTER_ROLE_DATA},
        {256, 10, CLUSTER_ROLE_DATA},  {266, 1, CLUSTER_ROLE_DATA, true}, {267, 1, CLUSTER_ROLE_LEAKED},
        {512, 1, CLUSTER_ROLE_SHARED}, {768, 1, CLUSTER_ROLE_FREE, true},
    };
    MapTotals totals = expect_cells(TIB_16, runs, G_N_ELEMENTS(runs), "0+1:d16? 1+1:d1! 2+1:X1! 3+1:.0! 4+1048572:.0 ");

    g_assert_cmpuint(totals.damaged, ==, 3);
}

/* A run that begins and ends inside of cells fills those between. */
static void test_across_cells(void)
{
    static const ClusterRun runs[] = {{128, 1024, CLUSTER_ROLE_DATA}};

    expect_cells(TIB_16, runs, 1, "0+1:d8 1+3:d16 4+1:d8 5+1048571:.0 ");
}

/* The last cell may have fewer clusters, and is full when these are. */
static void test_last_cell(void)
{
    static const ClusterRun runs[] = {{0, TIB_16, CLUSTER_ROLE_DATA}};

    expect_cells(TIB_16 - 255, runs, 1, "0+1048576:d16 ");
}

/* What lies beyond the file, and what was there already, is left out; so are numbers that add up to too much. */
static void test_hostile(void)
{
    static const ClusterRun runs[] = {{2, 4, CLUSTER_ROLE_DATA},
                                      {4, 4, CLUSTER_ROLE_L2},
                                      {0, 2, CLUSTER_ROLE_L2},
                                      {9, UINT64_MAX, CLUSTER_ROLE_COMPRESSED},
                                      {UINT64_MAX, UINT64_MAX, CLUSTER_ROLE_LEAKED}};

    expect_cells(10, runs, G_N_ELEMENTS(runs), "0+2:.0 2+4:d16 6+2:l16 8+1:.0 9+1:c16 ");
}

/* The largest number of clusters that a file can have: 2^63 - 1 bytes of 512 each. */
static void test_largest(void)
{
    static const ClusterRun runs[] = {{1, UINT64_C(1) << 53, CLUSTER_ROLE_DATA}};

    expect_cells(UINT64_C(1) << 54, runs, 1, "0+1:d15 1+524287:d16 524288+1:d1 524289+524287:.0 ");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/map-cells/seams", test_seams);
    g_test_add_func("/map-cells/one-each", test_one_each);
    g_test_add_func("/map-cells/merged", test_merged);
    g_test_add_func("/map-cells/dominant", test_dominant);
    g_test_add_func("/map-cells/tie", test_tie);
    g_test_add_func("/map-cells/fill-edges", test_fill_edges);
    g_test_add_func("/map-cells/marks", test_marks);
    g_test_add_func("/map-cells/across-cells", test_across_cells);
    g_test_add_func("/map-cells/last-cell", test_last_cell);
    g_test_add_func("/map-cells/hostile", test_hostile);
    g_test_add_func("/map-cells/largest", test_largest);
    return g_test_run();
}
