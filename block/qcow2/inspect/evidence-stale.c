/*
 * Stale bitmaps.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/evidence-stale.h"

#include <stddef.h>

#include "block/qcow2/load/bitmap-directory.h"
#include "util/number.h"

/* What the extension says although it is stale. False where it says nothing that can be. */
static bool read_extension(const Qcow2Image *image, const uint8_t *bytes, Qcow2Extensions *e)
{
    uint64_t at = 0;
    Qcow2ExtensionRecord record = {0};

    while (qcow2_next_extension(bytes, image->header.cluster_size, &image->header, &at, &record)) {
        const uint8_t *p = bytes + record.payload;

        if (record.type != QCOW2_EXT_BITMAPS || record.length != sizeof(Qcow2DiskBitmapsExtension)) {
            continue;
        }
        *e = (Qcow2Extensions){
            .has_bitmaps = true,
            .nb_bitmaps = load_be32(p + offsetof(Qcow2DiskBitmapsExtension, nb_bitmaps)),
            .bitmap_directory_size = load_be64(p + offsetof(Qcow2DiskBitmapsExtension, directory_size)),
            .bitmap_directory_offset = load_be64(p + offsetof(Qcow2DiskBitmapsExtension, directory_offset)),
        };
    }
    return e->has_bitmaps && e->nb_bitmaps <= QCOW2_MAX_BITMAPS &&
           e->bitmap_directory_size <= QCOW2_MAX_BITMAP_DIRECTORY_BYTES &&
           e->bitmap_directory_offset < image->source->length;
}

static void add_tables(const Qcow2Image *image, const Qcow2Extensions *e, GArray *ranges)
{
    Qcow2BitmapDirectory directory = {0};

    if (qcow2_read_bitmap_directory(image->source, &image->header, e, &directory, NULL)) {
        for (guint i = 0; i < directory.items->len; i++) {
            const Qcow2Bitmap *b = &g_array_index(directory.items, Qcow2Bitmap, i);
            Qcow2ClusterRange range = {b->table_offset >> image->header.cluster_bits,
                                       DIV_ROUND_UP((uint64_t)b->table_size * 8, image->header.cluster_size)};

            if (b->table_valid) {
                g_array_append_val(ranges, range);
            }
        }
    }
    qcow2_bitmap_directory_clear(&directory);
}

GArray *qcow2_stale_bitmap_tables(const Qcow2Image *image)
{
    GArray *ranges = g_array_new(FALSE, FALSE, sizeof(Qcow2ClusterRange));
    g_autofree uint8_t *bytes = NULL;
    Qcow2Extensions extensions = {0};

    if (!image->extensions.stale_bitmaps) {
        return ranges;
    }
    bytes = g_malloc(image->header.cluster_size);
    if (!block_source_read(image->source, bytes, image->header.cluster_size, 0) &&
        read_extension(image, bytes, &extensions)) {
        add_tables(image, &extensions, ranges);
    }
    qcow2_cluster_ranges_sort(ranges);
    return ranges;
}
