/*
 * Whether an image changed: see block/qcow2/check/change-detector.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/check/change-detector.h"

#include <string.h>

#define PART (64u << 10) /* bytes that are read at once */

/* What cannot be read is taken for zeros; it differs from what could be read before. */
static void add_region(GChecksum *sum, BlockSource *source, uint64_t offset, uint64_t size)
{
    g_autofree uint8_t *bytes = g_malloc(PART);

    for (uint64_t done = 0; done < size; done += PART) {
        size_t part = MIN(size - done, PART);

        if (block_source_read(source, bytes, part, offset + done) != 0) {
            memset(bytes, 0, part);
        }
        g_checksum_update(sum, bytes, part);
    }
}

static char *content(const Qcow2Image *image)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    const Qcow2HeaderFields *h = &image->header;
    uint64_t length = image->source->length;
    uint64_t held = h->l1_table_offset < length ? length - h->l1_table_offset : 0;

    add_region(sum, image->source, 0, h->cluster_size);
    add_region(sum, image->source, h->l1_table_offset, MIN(held, UINT64_C(8) * h->l1_size));
    return g_strdup(g_checksum_get_string(sum));
}

void qcow2_change_detector_begin(Qcow2ChangeDetector *watch, const Qcow2Image *image)
{
    *watch = (Qcow2ChangeDetector){.image = image, .content = content(image)};
}

bool qcow2_change_detector_changed(const Qcow2ChangeDetector *watch)
{
    BlockSourceState now = block_source_state(watch->image->source);
    g_autofree char *again = NULL;

    block_source_refresh(watch->image->source);
    again = content(watch->image);

    return now.length != watch->image->opened.length || now.changed_at != watch->image->opened.changed_at ||
           !g_str_equal(again, watch->content);
}

void qcow2_change_detector_clear(Qcow2ChangeDetector *watch)
{
    g_clear_pointer(&watch->content, g_free);
}
