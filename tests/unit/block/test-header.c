/*
 * The header of an image (docs/interop/check-behaviour.rst 2.2, docs/interop/qcow2-format.rst 2).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "block/qcow2/load/parse-header.h"
#include "bytes.h"

typedef struct Store {
    unsigned at;
    unsigned size; /* bytes; 0 = no store */
    uint64_t value;
} Store;

typedef struct Case {
    unsigned cluster_bits;
    Store stores[3];
    const char *message; /* NULL = accepted */
} Case;

#define SIZE_OF_BYTES 1024

static const Case cases[] = {
    /* 2: magic */
    {16, {{0, 4, 0x514649fa}}, "Image is not in qcow2 format"},
    /* 3: version */
    {16, {{AT_VERSION, 4, 1}}, "Unsupported qcow2 version 1"},
    {16, {{AT_VERSION, 4, 4}}, "Unsupported qcow2 version 4"},
    {16, {{AT_VERSION, 4, 0xffffffff}}, "Unsupported qcow2 version 4294967295"},
    /* 4: cluster_bits */
    {16, {{AT_CLUSTER_BITS, 4, 8}}, "Unsupported cluster size: 2^8"},
    {16, {{AT_CLUSTER_BITS, 4, 22}}, "Unsupported cluster size: 2^22"},
    {16, {{AT_CLUSTER_BITS, 4, 0x40}}, "Unsupported cluster size: 2^64"},
    {9, {{0}}, NULL},
    {21, {{0}}, NULL},
    /* 5 and 6: header_length */
    {16, {{AT_HEADER_LENGTH, 4, 103}}, "qcow2 header too short"},
    {16, {{AT_HEADER_LENGTH, 4, 104}}, NULL},
    {16, {{AT_HEADER_LENGTH, 4, 109}}, NULL},
    {16, {{AT_HEADER_LENGTH, 4, 65536}}, NULL},
    {16, {{AT_HEADER_LENGTH, 4, 65537}}, "qcow2 header exceeds cluster size"},
    {16, {{AT_HEADER_LENGTH, 4, 0xffffffff}}, "qcow2 header exceeds cluster size"},
    /* 8: backing file offset */
    {16, {{AT_BACKING_OFFSET, 8, 65536}}, NULL},
    {16, {{AT_BACKING_OFFSET, 8, 65537}}, "Invalid backing file offset"},
    {16, {{AT_BACKING_OFFSET, 8, UINT64_MAX}}, "Invalid backing file offset"},
    /* 9 to 11: compression type; a header of 104 bytes has none */
    {16, {{AT_COMPRESSION_TYPE, 1, 2}}, "qcow2: unknown compression type: 2"},
    {16, {{AT_COMPRESSION_TYPE, 1, 255}, {AT_INCOMPATIBLE, 8, 8}}, "qcow2: unknown compression type: 255"},
    {16, {{AT_INCOMPATIBLE, 8, 8}}, "qcow2: Compression type incompatible feature bit must not be set"},
    {16, {{AT_COMPRESSION_TYPE, 1, 1}}, "qcow2: Compression type incompatible feature bit must be set"},
    {16, {{AT_COMPRESSION_TYPE, 1, 1}, {AT_INCOMPATIBLE, 8, 8}}, NULL},
    {16, {{AT_COMPRESSION_TYPE, 1, 1}, {AT_HEADER_LENGTH, 4, 104}}, NULL},
    {16, {{AT_COMPRESSION_TYPE, 1, 1}, {AT_HEADER_LENGTH, 4, 105}, {AT_INCOMPATIBLE, 8, 8}}, NULL},
    /* 12: features that have no name */
    {16, {{AT_INCOMPATIBLE, 8, 0x20}}, "Unsupported qcow2 feature(s): Unknown incompatible feature: 20"},
    {16,
     {{AT_INCOMPATIBLE, 8, UINT64_MAX & ~UINT64_C(8)}},
     "Unsupported qcow2 feature(s): Unknown incompatible feature: ffffffffffffffe0"},
    {16, {{AT_INCOMPATIBLE, 8, 7}}, NULL},
    {16, {{AT_COMPATIBLE, 8, UINT64_MAX}, {AT_AUTOCLEAR, 8, UINT64_MAX}}, NULL},
    /* 13: subclusters of less than a sector */
    {13, {{AT_INCOMPATIBLE, 8, 0x10}}, "Unsupported subcluster size: 256"},
    {9, {{AT_INCOMPATIBLE, 8, 0x10}}, "Unsupported subcluster size: 16"},
    {14, {{AT_INCOMPATIBLE, 8, 0x10}}, NULL},
    /* 14: width of the counts */
    {16, {{AT_REFCOUNT_ORDER, 4, 6}}, NULL},
    {16, {{AT_REFCOUNT_ORDER, 4, 7}}, "Reference count entry width too large; may not exceed 64 bits"},
    {16, {{AT_REFCOUNT_ORDER, 4, 0x80000000}}, "Reference count entry width too large; may not exceed 64 bits"},
    /* 15: refcount table of 8 MiB at most, which may have no cluster at all in a check */
    {16, {{AT_REFTABLE_CLUSTERS, 4, 0}}, NULL},
    {16, {{AT_REFTABLE_CLUSTERS, 4, 128}}, NULL},
    {16, {{AT_REFTABLE_CLUSTERS, 4, 129}}, "Reference count table too large"},
    {21, {{AT_REFTABLE_CLUSTERS, 4, 5}}, "Reference count table too large"},
    {9, {{AT_REFTABLE_CLUSTERS, 4, 16384}}, NULL},
    {16, {{AT_REFTABLE_CLUSTERS, 4, 0xffffffff}}, "Reference count table too large"},
    /* 16: its place */
    {16, {{AT_REFTABLE_OFFSET, 8, 0x10200}}, "Reference count table offset invalid"},
    {16, {{AT_REFTABLE_OFFSET, 8, UINT64_C(0x7ffffffffffe0000)}}, NULL},
    {16, {{AT_REFTABLE_OFFSET, 8, UINT64_C(0x7fffffffffff0000)}}, "Reference count table offset invalid"},
    {16, {{AT_REFTABLE_OFFSET, 8, UINT64_C(0xffffffffffff0000)}}, "Reference count table offset invalid"},
    /* 17: L1 table of 32 MiB at most */
    {16, {{AT_L1_SIZE, 4, 4194304}}, NULL},
    {16, {{AT_L1_SIZE, 4, 4194305}}, "Active L1 table too large"},
    {16, {{AT_L1_SIZE, 4, 0xffffffff}}, "Active L1 table too large"},
    /* 18: its place */
    {16, {{AT_L1_OFFSET, 8, 0x30008}}, "Active L1 table offset invalid"},
    {16, {{AT_L1_OFFSET, 8, UINT64_C(0x7fffffffffff0000)}}, NULL},
    {16, {{AT_L1_OFFSET, 8, UINT64_C(0x7fffffffffff0000)}, {AT_L1_SIZE, 4, 8192}}, "Active L1 table offset invalid"},
    {16, {{AT_L1_OFFSET, 8, UINT64_C(0x8000000000000000)}}, "Active L1 table offset invalid"},
    {16, {{AT_L1_OFFSET, 8, UINT64_C(0xffffffffffff0000)}, {AT_L1_SIZE, 4, 8192}}, "Active L1 table offset invalid"},
    /* 19 and 20: entries that the disk needs. One entry is for 32 KiB with clusters of 512 bytes: 2^46 bytes
       are 2^31 entries. With 64 KiB, one entry is for 512 MiB; with extended entries, for 256 MiB. */
    {9, {{AT_SIZE, 8, UINT64_C(1) << 46}}, "Image is too big"},
    {9, {{AT_SIZE, 8, (UINT64_C(1) << 46) - 32768}}, "L1 table is too small"},
    {16, {{AT_SIZE, 8, 512 << 20}}, NULL},
    {16, {{AT_SIZE, 8, (512 << 20) + 1}}, "L1 table is too small"},
    {16, {{AT_SIZE, 8, (256 << 20) + 1}, {AT_INCOMPATIBLE, 8, 0x10}}, "L1 table is too small"},
    {16, {{AT_SIZE, 8, 1}, {AT_L1_SIZE, 4, 0}}, "L1 table is too small"},
    {16, {{AT_SIZE, 8, 0}, {AT_L1_SIZE, 4, 0}}, NULL},
    /* the first of several faults is the one that is named */
    {16, {{0, 4, 0}, {AT_VERSION, 4, 9}}, "Image is not in qcow2 format"},
    {16, {{AT_VERSION, 4, 9}, {AT_CLUSTER_BITS, 4, 1}}, "Unsupported qcow2 version 9"},
    {16, {{AT_CLUSTER_BITS, 4, 1}, {AT_HEADER_LENGTH, 4, 1}}, "Unsupported cluster size: 2^1"},
    {16, {{AT_HEADER_LENGTH, 4, 1}, {AT_BACKING_OFFSET, 8, UINT64_MAX}}, "qcow2 header too short"},
    {16,
     {{AT_REFCOUNT_ORDER, 4, 7}, {AT_INCOMPATIBLE, 8, 0x40}},
     "Unsupported qcow2 feature(s): Unknown incompatible feature: 40"},
    {16, {{AT_REFTABLE_OFFSET, 8, 1}, {AT_L1_SIZE, 4, 0xffffffff}}, "Reference count table offset invalid"},
};

/* Every test of the header refuses what it should, in its words, and lets the nearest good value pass. */
static void test_cases(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint8_t bytes[SIZE_OF_BYTES] = {0};
        Qcow2HeaderFields header;
        g_autoptr(GError) error = NULL;
        bool accepted;

        put_header(bytes, cases[i].cluster_bits);
        for (const Store *s = cases[i].stores; s < cases[i].stores + 3 && s->size; s++) {
            put_be(bytes + s->at, s->size, s->value);
        }
        accepted = qcow2_parse_header(bytes, sizeof(bytes), &header, &error);
        g_test_message("case %zu", i);
        g_assert_cmpstr(error ? error->message : NULL, ==, cases[i].message);
        g_assert_true(accepted == !cases[i].message);
    }
}

/* The fields of a version 3 header are read from where they are. */
static void test_fields(void)
{
    uint8_t bytes[112] = {0};
    Qcow2HeaderFields h;

    put_header(bytes, 16);
    put_be64(bytes + AT_BACKING_OFFSET, 0x200);
    put_be32(bytes + AT_BACKING_SIZE, 7);
    put_be64(bytes + AT_SIZE, 0x12345);
    put_be32(bytes + AT_CRYPT_METHOD, 2);
    put_be32(bytes + AT_L1_SIZE, 9);
    put_be64(bytes + AT_L1_OFFSET, 0x70000);
    put_be64(bytes + AT_REFTABLE_OFFSET, 0x50000);
    put_be32(bytes + AT_REFTABLE_CLUSTERS, 3);
    put_be32(bytes + AT_NB_SNAPSHOTS, 0xfffffff0);
    put_be64(bytes + AT_SNAPSHOTS_OFFSET, UINT64_C(0xfedcba9876543210));
    put_be64(bytes + AT_INCOMPATIBLE, 0x13);
    put_be64(bytes + AT_AUTOCLEAR, UINT64_C(0x8000000000000003));
    put_be32(bytes + AT_REFCOUNT_ORDER, 5);

    g_assert_true(qcow2_parse_header(bytes, sizeof(bytes), &h, NULL));
    g_assert_cmpuint(h.version, ==, 3);
    g_assert_cmpuint(h.cluster_bits, ==, 16);
    g_assert_cmpuint(h.cluster_size, ==, 65536);
    g_assert_cmpuint(h.l2_bits, ==, 12); /* 65536 / 16 entries */
    g_assert_true(qcow2_has_extended_l2(&h));
    g_assert_false(qcow2_has_data_file(&h));
    g_assert_cmphex(h.backing_file_offset, ==, 0x200);
    g_assert_cmpuint(h.backing_file_size, ==, 7);
    g_assert_cmphex(h.size, ==, 0x12345);
    g_assert_cmpuint(h.crypt_method, ==, 2);
    g_assert_cmpuint(h.l1_size, ==, 9);
    g_assert_cmphex(h.l1_table_offset, ==, 0x70000);
    g_assert_cmphex(h.refcount_table_offset, ==, 0x50000);
    g_assert_cmpuint(h.refcount_table_clusters, ==, 3);
    g_assert_cmphex(h.nb_snapshots, ==, 0xfffffff0);
    g_assert_cmphex(h.snapshots_offset, ==, UINT64_C(0xfedcba9876543210));
    g_assert_cmphex(h.autoclear_features, ==, UINT64_C(0x8000000000000003));
    g_assert_cmpuint(h.refcount_order, ==, 5);
    g_assert_cmpuint(h.header_length, ==, 112);
}

/* A version 2 header ends after 72 bytes: what version 3 would read behind it means nothing. */
static void test_version_2(void)
{
    uint8_t bytes[112] = {0};
    Qcow2HeaderFields h;

    put_header(bytes, 9);
    put_be32(bytes + AT_VERSION, 2);
    memset(bytes + 72, 0xff, sizeof(bytes) - 72);

    g_assert_true(qcow2_parse_header(bytes, sizeof(bytes), &h, NULL));
    g_assert_cmpuint(h.header_length, ==, 72);
    g_assert_cmpuint(h.refcount_order, ==, 4);
    g_assert_cmphex(h.incompatible_features, ==, 0);
    g_assert_cmphex(h.autoclear_features, ==, 0);
    g_assert_cmpuint(h.l2_bits, ==, 6); /* 512 / 8 entries */
}

static void put_feature(uint8_t *at, uint8_t kind, uint8_t bit, const char *name)
{
    at[0] = kind;
    at[1] = bit;
    memcpy(at + 2, name, strlen(name));
}

/* Unknown incompatible bits get their names from the image, in the order of its table (test 12). */
static void test_feature_names(void)
{
    uint8_t bytes[SIZE_OF_BYTES] = {0};
    uint8_t *names = bytes + AT_EXTENSIONS + 8;
    g_autoptr(GError) error = NULL;
    Qcow2HeaderFields h;

    put_header(bytes, 16);
    put_be64(bytes + AT_INCOMPATIBLE, UINT64_C(0x8000000000000061));
    put_be32(bytes + AT_EXTENSIONS, 0x6803f857);
    put_be32(bytes + AT_EXTENSIONS + 4, 6 * 48);
    put_feature(names, 0, 63, "0123456789012345678901234567890123456789012345"); /* 46 characters, no end */
    put_feature(names + 48, 1, 5, "compatible");
    put_feature(names + 2 * 48, 2, 5, "autoclear");
    put_feature(names + 3 * 48, 0, 0, "dirty bit");
    put_feature(names + 4 * 48, 0, 5, "colour");
    put_feature(names + 5 * 48, 0, 200, "no such bit");

    g_assert_false(qcow2_parse_header(bytes, sizeof(bytes), &h, &error));
    g_assert_cmpstr(error->message, ==,
                    "Unsupported qcow2 feature(s): 0123456789012345678901234567890123456789012345, colour, "
                    "Unknown incompatible feature: 40");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/header/cases", test_cases);
    g_test_add_func("/header/fields", test_fields);
    g_test_add_func("/header/version-2", test_version_2);
    g_test_add_func("/header/feature-names", test_feature_names);
    return g_test_run();
}
