/*
 * Header and extensions: the first bytes of an image, parsed from a piece of cluster 0 and from all of it.
 *
 * What is accepted is within the limits of the format, and a piece that is said to be enough gives what the whole
 * gives.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <string.h>

#include "block/qcow2/load/parse-header.h"
#include "fuzz.h"

#define SMALLEST sizeof(Qcow2DiskHeader)

static void header_within_limits(const Qcow2HeaderFields *h)
{
    g_assert_cmpuint(h->cluster_bits, >=, QCOW2_MIN_CLUSTER_BITS);
    g_assert_cmpuint(h->cluster_bits, <=, QCOW2_MAX_CLUSTER_BITS);
    g_assert_cmpuint(h->cluster_size, ==, UINT64_C(1) << h->cluster_bits);
    g_assert_cmpuint(h->refcount_order, <=, QCOW2_MAX_REFCOUNT_ORDER);
    g_assert_cmpuint(h->l1_size, <=, QCOW2_MAX_L1_ENTRIES);
    g_assert_cmpuint(h->header_length, <=, h->cluster_size);
    g_assert_cmpuint(h->l1_table_offset, <=, INT64_MAX - UINT64_C(8) * h->l1_size);
    g_assert_cmpuint((uint64_t)h->refcount_table_clusters << h->cluster_bits, <=, QCOW2_MAX_REFTABLE_BYTES);
    g_assert_false(h->incompatible_features & ~QCOW2_INCOMPAT_KNOWN);
}

static void extensions_within_limits(const Qcow2HeaderFields *h, const Qcow2Extensions *e)
{
    g_assert_false(e->has_bitmaps && e->stale_bitmaps);
    if (e->has_bitmaps) {
        g_assert_cmpuint(e->nb_bitmaps, >, 0);
        g_assert_cmpuint(e->nb_bitmaps, <=, QCOW2_MAX_BITMAPS);
        g_assert_cmpuint(e->bitmap_directory_size, <=, QCOW2_MAX_BITMAP_DIRECTORY_BYTES);
        g_assert_cmpuint(e->bitmap_directory_offset % h->cluster_size, ==, 0);
    }
    if (e->has_crypt_header) {
        g_assert_cmpuint(e->crypt_header_offset % h->cluster_size, ==, 0);
    }
}

/* As much of the image as the cluster has, zeros behind its end, in memory of exactly that size. */
static uint8_t *start_of(const uint8_t *bytes, size_t size, size_t wanted)
{
    uint8_t *start = g_malloc0(wanted);

    memcpy(start, bytes, MIN(size, wanted));
    return start;
}

static bool same_header(const Qcow2HeaderFields *a, const Qcow2HeaderFields *b)
{
    return a->version == b->version && a->crypt_method == b->crypt_method && a->cluster_bits == b->cluster_bits &&
           a->refcount_order == b->refcount_order && a->l2_bits == b->l2_bits && a->size == b->size &&
           a->l1_table_offset == b->l1_table_offset && a->l1_size == b->l1_size &&
           a->refcount_table_offset == b->refcount_table_offset &&
           a->refcount_table_clusters == b->refcount_table_clusters && a->snapshots_offset == b->snapshots_offset &&
           a->nb_snapshots == b->nb_snapshots && a->backing_file_offset == b->backing_file_offset &&
           a->backing_file_size == b->backing_file_size && a->header_length == b->header_length &&
           a->incompatible_features == b->incompatible_features && a->autoclear_features == b->autoclear_features;
}

static bool same_extensions(const Qcow2Extensions *a, const Qcow2Extensions *b)
{
    return a->has_bitmaps == b->has_bitmaps && a->stale_bitmaps == b->stale_bitmaps && a->nb_bitmaps == b->nb_bitmaps &&
           a->bitmap_directory_size == b->bitmap_directory_size &&
           a->bitmap_directory_offset == b->bitmap_directory_offset && a->has_crypt_header == b->has_crypt_header &&
           a->crypt_header_offset == b->crypt_header_offset && a->crypt_header_length == b->crypt_header_length;
}

/* The same from the first @piece bytes, which may be too few. */
static void parse_piece(const uint8_t *bytes, size_t size, size_t piece, const Qcow2HeaderFields *whole_header,
                        const Qcow2Extensions *whole, bool whole_fine)
{
    g_autofree uint8_t *start = start_of(bytes, size, piece);
    g_autoptr(GError) error = NULL;
    Qcow2HeaderFields header;
    Qcow2Extensions extensions;
    bool more, fine;

    g_assert_true(qcow2_parse_header(start, piece, &header, NULL));
    g_assert_true(same_header(&header, whole_header));
    fine = qcow2_parse_extensions(start, piece, &header, &extensions, &more, &error);
    g_assert_true(fine == !error);
    if (fine && !more) {
        g_assert_true(whole_fine);
        g_assert_true(same_extensions(&extensions, whole));
    }
    if (!fine) {
        g_assert_false(whole_fine);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    g_autofree uint8_t *smallest = start_of(bytes, size, SMALLEST), *cluster = NULL;
    g_autoptr(GError) error = NULL;
    Qcow2HeaderFields header;
    Qcow2Extensions extensions;
    bool more, fine;

    limits_begin();
    if (!qcow2_parse_header(smallest, SMALLEST, &header, &error)) {
        g_assert_nonnull(error);
        limits_end("parsing a header");
        return 0;
    }
    header_within_limits(&header);
    cluster = start_of(bytes, size, header.cluster_size);
    fine = qcow2_parse_extensions(cluster, header.cluster_size, &header, &extensions, &more, &error);
    limits_end("parsing header and extensions");

    g_assert_true(fine == !error);
    g_assert_false(more);
    if (fine) {
        extensions_within_limits(&header, &extensions);
    }
    parse_piece(bytes, size, SMALLEST, &header, &extensions, fine);
    parse_piece(bytes, size, MIN(header.cluster_size, 4096), &header, &extensions, fine);
    return 0;
}
