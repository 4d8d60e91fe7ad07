/*
 * Decoding of one L2 table, compared with a decoder that goes by the format's description, entry by entry.
 *
 * The first byte of the input chooses cluster size and kind of entries, the rest is the table.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <string.h>

#include "block/qcow2/load/l2-result.h"
#include "fuzz.h"
#include "util/number.h"

/* What one entry comes to. Nothing is allocated where length is 0. */
typedef struct Cluster {
    uint64_t offset;
    uint32_t length; /* bytes */
    bool copied;
    bool compressed;
} Cluster;

typedef struct Expected {
    Cluster *clusters; /* of each entry */
    GArray *faults;    /* Qcow2L2Fault, without their values */
    uint32_t allocated;
    uint32_t compressed;
    uint32_t fragmented;
    uint64_t next; /* host offset; 0: none yet */
} Expected;

static void expected_clear(Expected *e)
{
    g_free(e->clusters);
    g_array_unref(e->faults);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Expected, expected_clear)

static void fault(Expected *e, uint32_t index, ImageCheckFindingKind kind)
{
    Qcow2L2Fault added = {.index = index, .kind = kind};

    g_array_append_val(e->faults, added);
}

/* docs/interop/check-behaviour.rst 3.4, "compressed". */
static void expect_compressed(Expected *e, const Qcow2HeaderFields *h, uint32_t i, uint64_t entry, uint64_t bitmap)
{
    unsigned x = 62 - (h->cluster_bits - 8); /* docs/interop/qcow2-format.rst 6.1: bits 0 .. x-1 are the offset */
    uint64_t offset = entry % (UINT64_C(1) << x);
    uint64_t sectors = (entry << 2 >> 2 >> x) + 1;

    if (entry >> 63) {
        fault(e, i, QCOW2_FINDING_COMPRESSED_COPIED);
    }
    if (qcow2_has_data_file(h)) {
        fault(e, i, QCOW2_FINDING_COMPRESSED_WITH_DATA_FILE);
    } else if (bitmap) {
        fault(e, i, QCOW2_FINDING_COMPRESSED_WITH_SUBCLUSTERS);
    } else {
        e->clusters[i] = (Cluster){offset, (uint32_t)(sectors * 512 - offset % 512), .compressed = true};
        e->allocated++;
        e->compressed++;
        e->fragmented++;
    }
}

/* The same, "Standard or preallocated zero". */
static void expect_cluster(Expected *e, const Qcow2HeaderFields *h, uint32_t i, uint64_t entry, uint64_t bitmap)
{
    uint64_t offset = entry & UINT64_C(0x00fffffffffffe00);
    bool has_data = qcow2_has_extended_l2(h) ? (uint32_t)bitmap != 0 : !(entry & 1);

    if ((uint32_t)bitmap & (uint32_t)(bitmap >> 32)) {
        fault(e, i, QCOW2_FINDING_SUBCLUSTERS_CONTRADICT);
    }
    if (offset & (h->cluster_size - 1)) {
        fault(e, i, has_data ? QCOW2_FINDING_DATA_UNALIGNED : QCOW2_FINDING_PREALLOCATED_UNALIGNED);
    }
    e->clusters[i] = (Cluster){offset, (uint32_t)h->cluster_size, .copied = entry >> 63};
    e->allocated++;
    e->fragmented += e->next != 0 && offset != e->next;
    e->next = offset + h->cluster_size;
}

static void expect_entry(Expected *e, const Qcow2HeaderFields *h, uint32_t i, uint64_t entry, uint64_t bitmap)
{
    uint64_t offset = entry & UINT64_C(0x00fffffffffffe00);
    bool data_file_start = qcow2_has_data_file(h) && entry >> 63; /* host offset 0 is a cluster of the data file */

    if (entry >> 62 & 1) {
        expect_compressed(e, h, i, entry, bitmap);
        return;
    }
    if (entry & UINT64_C(0x3f000000000001fe)) {
        fault(e, i, QCOW2_FINDING_L2_RESERVED_BITS);
    }
    if (offset) {
        expect_cluster(e, h, i, entry, bitmap);
    } else if (!qcow2_has_extended_l2(h) && (entry & 1)) {
        return; /* plain zero */
    } else if (data_file_start) {
        expect_cluster(e, h, i, entry, bitmap);
    } else if ((uint32_t)bitmap) {
        fault(e, i, QCOW2_FINDING_UNALLOCATED_WITH_SUBCLUSTERS);
    }
}

static Expected expect_table(const Qcow2HeaderFields *h, const uint8_t *table)
{
    uint32_t n = UINT32_C(1) << h->l2_bits;
    unsigned step = qcow2_l2_entry_size(h);
    Expected e = {.clusters = g_new0(Cluster, n), .faults = g_array_new(FALSE, FALSE, sizeof(Qcow2L2Fault))};

    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *at = table + (size_t)i * step;

        expect_entry(&e, h, i, load_be64(at), step == 16 ? load_be64(at + 8) : 0);
    }
    return e;
}

/* Takes what the result says of each entry out of what is expected of it; nothing is said twice. */
static void take_runs(const Qcow2HeaderFields *h, const Qcow2L2Result *result, Expected *e)
{
    for (uint32_t r = 0; r < result->n_runs; r++) {
        const Qcow2Run *run = &result->runs[r];

        g_assert_cmpuint(run->n, >, 0);
        g_assert_cmpuint((uint64_t)run->index + run->n, <=, UINT64_C(1) << h->l2_bits);
        for (uint32_t i = 0; i < run->n; i++) {
            Cluster *cluster = &e->clusters[run->index + i];

            g_assert_false(cluster->compressed);
            g_assert_cmpuint(cluster->length, ==, h->cluster_size);
            g_assert_cmphex(cluster->offset, ==, run->offset + i * h->cluster_size);
            g_assert_true(cluster->copied == run->copied);
            cluster->length = 0;
        }
    }
}

static void take_extents(const Qcow2L2Result *result, Expected *e)
{
    for (guint i = 0; i < result->extents->len; i++) {
        const Qcow2Extent *extent = &g_array_index(result->extents, Qcow2Extent, i);
        Cluster *cluster = &e->clusters[extent->index];

        g_assert_cmpuint(cluster->length, ==, extent->length);
        g_assert_cmphex(cluster->offset, ==, extent->offset);
        g_assert_true(cluster->compressed == extent->compressed);
        cluster->length = 0;
    }
}

static void compare_faults(const Qcow2L2Result *result, const Expected *e)
{
    g_assert_cmpuint(result->faults->len, ==, e->faults->len);
    for (guint i = 0; i < e->faults->len; i++) {
        const Qcow2L2Fault *found = &g_array_index(result->faults, Qcow2L2Fault, i);
        const Qcow2L2Fault *wanted = &g_array_index(e->faults, Qcow2L2Fault, i);

        g_assert_cmpuint(found->index, ==, wanted->index);
        g_assert_cmpint(found->kind, ==, wanted->kind);
    }
}

static void compare(const Qcow2HeaderFields *h, const Qcow2L2Result *result, Expected *e)
{
    take_runs(h, result, e);
    take_extents(result, e);
    for (uint32_t i = 0; i < UINT32_C(1) << h->l2_bits; i++) {
        g_assert_cmpuint(e->clusters[i].length, ==, 0);
    }
    compare_faults(result, e);
    g_assert_cmpuint(result->allocated, ==, e->allocated);
    g_assert_cmpuint(result->compressed, ==, e->compressed);
    g_assert_cmpuint(result->fragmented, ==, e->fragmented);
}

static Qcow2HeaderFields chosen_header(uint8_t choice)
{
    bool extended = choice & 8;
    unsigned cluster_bits = (extended ? 14 : QCOW2_MIN_CLUSTER_BITS) + choice % 4;

    return (Qcow2HeaderFields){
        .version = 3,
        .cluster_bits = cluster_bits,
        .cluster_size = UINT64_C(1) << cluster_bits,
        .l2_bits = cluster_bits - (extended ? 4 : 3),
        .incompatible_features =
            (extended ? QCOW2_INCOMPAT_EXTENDED_L2 : 0) | (choice & 4 ? QCOW2_INCOMPAT_DATA_FILE : 0),
    };
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    Qcow2HeaderFields header = chosen_header(size ? bytes[0] : 0);
    g_autofree uint8_t *table = g_malloc0(header.cluster_size);
    g_autoptr(Qcow2L2Result) result = qcow2_l2_result_new(&header);
    g_auto(Expected) expected = {0};

    if (size > 1) {
        memcpy(table, bytes + 1, MIN(size - 1, header.cluster_size));
    }
    expected = expect_table(&header, table);
    limits_begin();
    qcow2_l2_decode(&header, table, result);
    limits_end("decoding an L2 table");
    compare(&header, result, &expected);
    return 0;
}
