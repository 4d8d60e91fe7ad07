/*
 * Which tree an L1 entry belongs to.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/check/metadata-regions.h"

#include "driver.h"
#ifdef COUNT_WORK
#include "work.h"
#endif

typedef struct Fixture {
    uint8_t bytes[65536];
    Qcow2Image image;
    Qcow2Snapshots snapshots;
    Qcow2BitmapDirectory bitmaps;
    Qcow2Regions regions;
} Fixture;

static void add_snapshot(Fixture *f, uint64_t l1_offset, uint32_t l1_size)
{
    Qcow2Snapshot s = {.l1_table_offset = l1_offset, .l1_size = l1_size};

    g_array_append_val(f->snapshots.items, s);
}

/* Clusters of 4 KiB; the active L1 table of 4 entries in cluster 3. */
static Fixture *fixture_new(void)
{
    Fixture *f = g_new0(Fixture, 1);

    f->image.source = block_source_new_memory(f->bytes, sizeof(f->bytes));
    f->image.header = (Qcow2HeaderFields){
        .version = 3, .cluster_bits = 12, .cluster_size = 4096, .l1_table_offset = 3 * 4096, .l1_size = 4};
    f->snapshots.items = g_array_new(FALSE, FALSE, sizeof(Qcow2Snapshot));
    return f;
}

static void init_steps(Fixture *f)
{
    g_autoptr(GError) error = NULL;

    qcow2_regions_init(&f->regions, &f->image, &f->snapshots, &f->bitmaps, &one_thread, &error);
    g_assert_no_error(error);
}

static void fixture_free(Fixture *f)
{
    qcow2_regions_clear(&f->regions);
    g_array_unref(f->snapshots.items);
    block_source_close(f->image.source);
    g_free(f);
}

static void assert_tree(const Fixture *f, uint64_t slot, int snapshot, uint64_t index)
{
    uint64_t found = UINT64_MAX;
    const Qcow2Tree *tree = qcow2_regions_find_tree(&f->regions, slot, &found);

    g_assert_nonnull(tree);
    g_assert_cmpint(tree->snapshot, ==, snapshot);
    g_assert_cmpuint(found, ==, index);
}

/* Each entry of each table is found, and nothing between the tables. */
static void test_apart(void)
{
    Fixture *f = fixture_new();
    uint64_t index;

    add_snapshot(f, 5 * 4096, 2);
    add_snapshot(f, 1 * 4096, 1);
    init_steps(f);
    assert_tree(f, 3 * 4096, QCOW2_TREE_ACTIVE, 0);
    assert_tree(f, 3 * 4096 + 24, QCOW2_TREE_ACTIVE, 3);
    assert_tree(f, 5 * 4096 + 8, 0, 1);
    assert_tree(f, 4096, 1, 0);
    g_assert_null(qcow2_regions_find_tree(&f->regions, 0, &index));
    g_assert_null(qcow2_regions_find_tree(&f->regions, 3 * 4096 + 32, &index));
    g_assert_null(qcow2_regions_find_tree(&f->regions, 5 * 4096 + 16, &index));
    fixture_free(f);
}

/* Of tables that lie over one another the active one is named; else one that has the entry, however far before. */
static void test_overlapping(void)
{
    Fixture *f = fixture_new();

    add_snapshot(f, 0, 512 * 8);
    add_snapshot(f, 2 * 4096, 1);
    add_snapshot(f, 3 * 4096, 4);
    init_steps(f);
    assert_tree(f, 3 * 4096 + 8, QCOW2_TREE_ACTIVE, 1);
    assert_tree(f, 3 * 4096 + 32, 0, 3 * 512 + 4);
    fixture_free(f);
}

/* Those made so far; none in a build that does not count them. */
static uint64_t comparisons(void)
{
#ifdef COUNT_WORK
    return work_done();
#else
    return 0;
#endif
}

/*
 * As many snapshots as there may be, half of them with one L1 table in the other like Russian dolls: a search that goes
 * back tree by tree would look at tens of thousands for each entry, for minutes.
 */
static void test_nested(void)
{
    enum { SNAPSHOTS = 65536, ENTRIES = 4 << 20, STEP = 8, COMPARISONS = 128 };
    Fixture *f = fixture_new();
    uint64_t index, length = ENTRIES * UINT64_C(8);
    uint64_t begin;

    block_source_close(f->image.source);
    f->image.source = block_source_new_memory(f->bytes, 0); /* where the file has nothing, tables are zeros */
    f->image.header.cluster_bits = 9;
    f->image.header.cluster_size = 512;
    f->image.header.l1_size = 0;
    for (uint64_t i = 0; i < SNAPSHOTS; i++) {
        add_snapshot(f, i * 512, i * 512 * 2 < length ? ENTRIES - (unsigned)i * 128 : 1);
    }
    init_steps(f);
    begin = comparisons();
    for (uint64_t slot = 0; slot < length + 4096; slot += STEP) {
        const Qcow2Tree *tree = qcow2_regions_find_tree(&f->regions, slot, &index);

        g_assert_cmpint(tree != NULL, ==, slot < length);
        g_assert_true(!tree || index == (slot - tree->offset) / 8);
    }
    g_assert_cmpuint(comparisons() - begin, <, (length + 4096) / STEP * COMPARISONS);
    fixture_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/steps/slots-of-tables-apart", test_apart);
    g_test_add_func("/steps/slots-of-overlapping-tables", test_overlapping);
    g_test_add_func("/steps/slots-of-nested-tables", test_nested);
    return g_test_run();
}
