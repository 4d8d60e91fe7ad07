/*
 * The name and the format of the image below: see block/qcow2-backing.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2-backing.h"

#include <string.h>

#include "block/qcow2/load/image.h"

G_STATIC_ASSERT(QCOW2_BACKING_NAME_SIZE == QCOW2_MAX_BACKING_NAME + 1);
G_STATIC_ASSERT(QCOW2_BACKING_FORMAT_SIZE == QCOW2_MAX_BACKING_FORMAT + 1);

static void find_format(const uint8_t *bytes, const Qcow2HeaderFields *h, char *format)
{
    Qcow2ExtensionRecord record;
    uint64_t at = 0;

    while (qcow2_next_extension(bytes, h->cluster_size, h, &at, &record)) {
        if (record.type == QCOW2_EXT_BACKING_FORMAT) {
            memcpy(format, bytes + record.payload, MIN(record.length, QCOW2_MAX_BACKING_FORMAT));
        }
    }
}

bool qcow2_read_backing(const Qcow2Image *image, Qcow2Backing *backing, GError **errp)
{
    const Qcow2HeaderFields *h = &image->header;
    g_autofree uint8_t *bytes = g_malloc(h->cluster_size);
    int failure = block_source_read(image->source, bytes, h->cluster_size, 0);

    *backing = (Qcow2Backing){.size = h->size};
    if (failure) {
        g_set_error(errp, BLOCK_ERROR, -failure, "Could not read backing file name: %s", g_strerror(-failure));
        return false;
    }
    if (h->backing_file_offset && h->backing_file_offset < h->cluster_size) {
        uint64_t size = MIN(h->backing_file_size, h->cluster_size - h->backing_file_offset);

        memcpy(backing->name, bytes + h->backing_file_offset, MIN(size, QCOW2_MAX_BACKING_NAME));
        find_format(bytes, h, backing->format);
    }
    return true;
}
