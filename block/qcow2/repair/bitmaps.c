/*
 * Bitmaps whose bits lie in clusters of something else are marked as in use: once the counts are right, nothing else
 * tells that the bits are not to be trusted.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/passes.h"

#include <stddef.h>
#include <string.h>

#include "block/qcow2/format/format.h"
#include "block/qcow2/inspect/bitmaps.h"
#include "util/number.h"
#include "util/text.h"

/* The word with the flags begins with the number of table entries. */
static uint64_t flags_word(const Qcow2Bitmap *bitmap)
{
    return bitmap->entry_offset + offsetof(Qcow2DiskBitmapEntry, table_size);
}

static void mark(const RepairInput *in, Edits *edits, const Qcow2Bitmap *bitmap)
{
    g_autofree char *name = text_escape(bitmap->name, strlen(bitmap->name));
    Edit edit = {
        .offset = flags_word(bitmap),
        .structure = IMAGE_CHECK_STRUCTURE_BITMAP_DIRECTORY,
        .why = QCOW2_FINDING_BITMAP_DATA_SHARED,
        .count = 1,
        .what = "mark the bitmap as in use, so that nobody trusts its bits",
    };
    uint8_t word[8];

    if (block_source_read(in->image->source, word, sizeof(word), edit.offset) < 0) {
        return;
    }
    repair_say(in,
               "Bitmap '%s' is marked as in use, as its bits lie in a cluster of something else: the next backup has "
               "to be a full one.\n",
               name);
    edits_add_word(edits, EDIT_PHASE_SWITCH, &edit, load_be64(word) | QCOW2_BITMAP_FLAG_IN_USE);
}

bool repair_bitmaps(const RepairInput *in, const MetadataLayout *layout, Allocator *alloc, Edits *edits, GError **errp)
{
    const GArray *bitmaps = in->check->bitmaps.items;
    uint64_t examined = 0;

    if (!in->options->all || !repair_wants(in, QCOW2_FINDING_BITMAP_DATA_SHARED)) {
        return true;
    }
    for (guint i = 0; bitmaps && i < bitmaps->len; i++) {
        const Qcow2Bitmap *bitmap = &g_array_index(bitmaps, Qcow2Bitmap, i);

        if (!bitmap->in_use && qcow2_bitmap_bits_shared(in->check, bitmap, &examined) &&
            layout_word_writable(layout, flags_word(bitmap))) {
            mark(in, edits, bitmap);
        }
    }
    return true;
}
