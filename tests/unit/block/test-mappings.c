/*
 * From host to guest clusters.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/mappings.h"

#include "counted-image.h"
#include "small-image.h"

typedef struct Fixture {
    CountedImage counted;
    Mappings mappings;
} Fixture;

static void fixture_clear(Fixture *f)
{
    mappings_clear(&f->mappings);
    counted_image_clear(&f->counted);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Fixture, fixture_clear)

static void collect(Fixture *f, const uint8_t *bytes, unsigned workers)
{
    g_autoptr(Qcow2MappingCollector) collector = NULL;
    g_autoptr(GError) error = NULL;

    counted_image_open(&f->counted, bytes, AT(CLUSTERS), workers);
    collector = qcow2_mapping_collector_new(&f->counted.image->header, &f->counted.check.regions, workers);
    counted_image_count(&f->counted, qcow2_mapping_collector_visitor(collector));
    g_assert_true(qcow2_mapping_collector_finish(collector, &f->mappings, &error));
    g_assert_no_error(error);
}

static void expect(const Fixture *f, size_t i, uint64_t host, uint64_t guest, uint32_t n, unsigned tree,
                   MappingKind kind)
{
    const Mapping *m = &f->mappings.items[i];

    g_assert_cmpuint(i, <, f->mappings.n);
    g_assert_cmpuint(m->host, ==, host);
    g_assert_cmpuint(m->guest, ==, guest);
    g_assert_cmpuint(m->n, ==, n);
    g_assert_cmpuint(m->tree, ==, tree);
    g_assert_cmpuint(m->kind, ==, kind);
}

/* Tables and data of the active disk and of the snapshot, in the order of the file. */
static void test_trees(void)
{
    g_autofree uint8_t *bytes = small_image_new();
    g_auto(Fixture) f = {0};

    put_be64(bytes + AT(L2_A) + 8, COPIED | AT(DATA_B));
    put_be64(bytes + AT(L2_B), 0);
    /* guest cluster 8192 + 3 is compressed, and lies in the ends of two clusters */
    put_be64(bytes + AT(L2_B) + 8 * 3, UINT64_C(1) << 62 | UINT64_C(1) << 54 | (AT(LEAK) - 512));
    collect(&f, bytes, 1);
    expect(&f, 0, L2_A, 0, 1, 0, MAPPING_L2);
    expect(&f, 1, L2_B, 8192, 1, 0, MAPPING_L2);
    expect(&f, 2, DATA_A, 0, 2, 0, MAPPING_DATA);
    expect(&f, 3, L2_C, 0, 1, 1, MAPPING_L2);
    expect(&f, 4, DATA_C, 0, 1, 1, MAPPING_DATA);
    expect(&f, 5, BITMAP_DATA, 8195, 2, 0, MAPPING_COMPRESSED);
    g_assert_cmpuint(f.mappings.n, ==, 6);
    g_assert_cmpuint(f.mappings.step, ==, 1);
}

/* A collector that is shown @n tables by hand, each full of single clusters that lie apart. */
static void show_tables(const Qcow2TableVisitor *visitor, const Qcow2HeaderFields *h, size_t n)
{
    g_autoptr(Qcow2L2Result) contents = qcow2_l2_result_new(h);
    g_autofree uint8_t *table = g_malloc(CLUSTER);

    for (size_t t = 0; t < n; t++) {
        Qcow2TableRef ref = {.offset = AT(1000 + t), .slot = AT(ACTIVE_L1) + 8 * t};

        for (size_t i = 0; i < 8192; i++) {
            put_be64(table + 8 * i, COPIED | AT(100000 + 2 * (t * 8192 + i)));
        }
        qcow2_l2_decode(h, table, contents);
        g_assert_true(visitor->visit(visitor->opaque, t % 2, &ref, table, contents));
    }
}

/* Of more than can be kept, what is kept is spread over the disk, and it is said how sparse it is. */
static void test_thinning(void)
{
    enum { TABLES = 400 }; /* 3.1 million clusters */
    Qcow2HeaderFields h = {.cluster_bits = 16, .cluster_size = CLUSTER, .l2_bits = 13};
    Qcow2Tree tree = {.offset = AT(ACTIVE_L1), .entries = TABLES, .snapshot = QCOW2_TREE_ACTIVE};
    Qcow2Regions regions = {.trees = g_array_new(FALSE, FALSE, sizeof(Qcow2Tree))};
    g_autoptr(Qcow2MappingCollector) collector = qcow2_mapping_collector_new(&h, &regions, 2);
    Mappings mappings;
    size_t tables = 0;

    g_array_append_val(regions.trees, tree);
    regions.active = &g_array_index(regions.trees, Qcow2Tree, 0);
    show_tables(qcow2_mapping_collector_visitor(collector), &h, TABLES);
    g_assert_true(qcow2_mapping_collector_finish(collector, &mappings, NULL));
    g_assert_cmpuint(mappings.step, ==, 8);
    for (size_t i = 0; i < mappings.n; i++) {
        const Mapping *m = &mappings.items[i];

        tables += m->kind == MAPPING_L2;
        g_assert_cmpuint(m->guest % mappings.step, ==, 0);
        g_assert_true(m->kind == MAPPING_L2 || m->host == 100000 + 2 * m->guest);
    }
    g_assert_cmpuint(tables, ==, TABLES);
    g_assert_cmpuint(mappings.n, ==, TABLES + TABLES * 8192 / 8);
    mappings_clear(&mappings);
    g_array_unref(regions.trees);
}

/* The next number of a fixed row that looks like chance. */
static uint64_t next_number(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

/* In the order of the file; of one host cluster by tree, then by guest. However many there are, and however far apart.
 */
static void test_sort(void)
{
    static const size_t sizes[] = {0, 1, 2, 33, 1000, 100000};
    static const unsigned bits[] = {0, 3, 20, 31}; /* of hosts: none has thousands of users of one cluster */
    uint64_t state = 1;

    for (size_t i = 0; i < G_N_ELEMENTS(sizes) * G_N_ELEMENTS(bits); i++) {
        size_t n = sizes[i % G_N_ELEMENTS(sizes)];
        unsigned used = bits[i / G_N_ELEMENTS(sizes)];
        Mappings mappings = {.items = g_new(Mapping, n + 1), .n = n};
        uint64_t guests = 0;

        for (size_t k = 0; k < n; k++) {
            mappings.items[k] = (Mapping){
                .host = (next_number(&state) & ((UINT64_C(1) << used) - 1)) << (i % 2 ? 0 : 23),
                .guest = next_number(&state),
                .tree = (unsigned)(next_number(&state) % 3) & MAPPING_MAX_TREE,
            };
            guests += mappings.items[k].guest;
        }
        mappings_sort(&mappings);
        for (size_t k = 0; k < n; k++) {
            const Mapping *a = &mappings.items[k], *b = a + 1;

            guests -= a->guest;
            g_assert_true(k + 1 == n || a->host < b->host ||
                          (a->host == b->host && (a->tree < b->tree || (a->tree == b->tree && a->guest <= b->guest))));
        }
        g_assert_cmpuint(guests, ==, 0);
        g_free(mappings.items);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/mappings/trees", test_trees);
    g_test_add_func("/mappings/thinning", test_thinning);
    g_test_add_func("/mappings/sort", test_sort);
    return g_test_run();
}
