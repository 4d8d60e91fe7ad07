/*
 * Stale and dropped bitmaps.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/evidence-stale.h"

#include <stddef.h>

#include "block/qcow2/inspect/evidence-surplus.h"
#include "block/qcow2/load/bitmap-directory.h"
#include "util/number.h"

#define MOST_DROPPED 16 /* extensions that are followed: only hostile images have more */

/* Returns true if nothing refers to the clusters of the @size bytes at @offset, and none of them has been freed. */
static bool is_leaked(const Qcow2Check *check, uint64_t offset, uint64_t size)
{
    unsigned bits = check->image->header.cluster_bits;
    uint64_t at = offset >> bits, end = at + DIV_ROUND_UP(size, UINT64_C(1) << bits);
    Qcow2Surplus s;

    while (at < end && qcow2_next_surplus(check, at, end, &s) && s.first == at && !s.references) {
        at += s.n;
    }
    return at >= end;
}

/* Returns true if each entry may be one of a bitmap: nearly all L2 entries have a flag that those do not have. */
static bool is_bitmap_table(const Qcow2Image *image, const Qcow2Bitmap *b)
{
    uint64_t size = (uint64_t)b->table_size * 8;
    uint8_t part[4096];

    for (uint64_t at = 0; at < size; at += sizeof(part)) {
        size_t n = (size_t)MIN(sizeof(part), size - at);

        if (block_source_read(image->source, part, n, b->table_offset + at)) {
            return false;
        }
        for (size_t i = 0; i < n; i += 8) {
            if (qcow2_bitmap_table_entry_fault(load_be64(part + i), &image->header)) {
                return false;
            }
        }
    }
    return true;
}

static void add_tables(const Qcow2Check *check, const Qcow2Extensions *e, GArray *ranges)
{
    const Qcow2Image *image = check->image;
    Qcow2BitmapDirectory directory = {0};

    if (qcow2_read_bitmap_directory(image->source, &image->header, e, &directory, NULL)) {
        for (guint i = 0; i < directory.items->len; i++) {
            const Qcow2Bitmap *b = &g_array_index(directory.items, Qcow2Bitmap, i);
            uint64_t size = (uint64_t)b->table_size * 8;
            Qcow2ClusterRange range = {b->table_offset >> image->header.cluster_bits,
                                       DIV_ROUND_UP(size, image->header.cluster_size)};

            if (b->table_valid && is_leaked(check, b->table_offset, size) && is_bitmap_table(image, b)) {
                g_array_append_val(ranges, range);
            }
        }
    }
    qcow2_bitmap_directory_clear(&directory);
}

/* Returns true if bitmaps lie where the extension with @payload says: a directory that was freed may be anything now.
 */
static bool has_directory(const Qcow2Check *check, const uint8_t *payload, Qcow2Extensions *e)
{
    *e = (Qcow2Extensions){
        .has_bitmaps = true,
        .nb_bitmaps = load_be32(payload + offsetof(Qcow2DiskBitmapsExtension, nb_bitmaps)),
        .bitmap_directory_size = load_be64(payload + offsetof(Qcow2DiskBitmapsExtension, directory_size)),
        .bitmap_directory_offset = load_be64(payload + offsetof(Qcow2DiskBitmapsExtension, directory_offset)),
    };
    return e->nb_bitmaps <= QCOW2_MAX_BITMAPS && e->bitmap_directory_size &&
           e->bitmap_directory_size <= QCOW2_MAX_BITMAP_DIRECTORY_BYTES &&
           e->bitmap_directory_offset < check->counting.file_end &&
           is_leaked(check, e->bitmap_directory_offset, e->bitmap_directory_size);
}

GArray *qcow2_stale_bitmap_tables(const Qcow2Check *check)
{
    const Qcow2Image *image = check->image;
    GArray *ranges = g_array_new(FALSE, FALSE, sizeof(Qcow2ClusterRange));
    g_autofree uint8_t *bytes = g_malloc(image->header.cluster_size);
    Qcow2ExtensionRecord record = {0};
    Qcow2Extensions e;
    uint64_t at = 0;
    unsigned n = 0;

    if (block_source_read(image->source, bytes, image->header.cluster_size, 0)) {
        return ranges;
    }
    while (n < MOST_DROPPED && qcow2_next_extension(bytes, image->header.cluster_size, &image->header, &at, &record)) {
        bool stale =
            record.type == QCOW2_EXT_DROPPED || (record.type == QCOW2_EXT_BITMAPS && image->extensions.stale_bitmaps);

        if (stale && record.length == sizeof(Qcow2DiskBitmapsExtension)) {
            n++;
            if (has_directory(check, bytes + record.payload, &e)) {
                add_tables(check, &e, ranges);
            }
        }
    }
    qcow2_cluster_ranges_sort(ranges);
    return ranges;
}
