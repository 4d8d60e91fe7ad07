/*
 * Drops one bitmap: the others get a new directory, which the header extension refers to in one write. What the bitmap
 * and the old directory had leaks then.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/request.h"

#include <stddef.h>
#include <string.h>

#include "block/qcow2/format/format.h"
#include "block/qcow2/repair/passes.h"
#include "util/number.h"
#include "util/text.h"

#define SECTOR 512u /* bytes: what a disk writes wholly or not at all */

static const Qcow2Bitmap *bitmap_at(const Restore *r, guint i)
{
    return &g_array_index(r->in->check->bitmaps.items, Qcow2Bitmap, i);
}

/* Finds the only bitmap of the name that is asked for. */
static bool find_bitmap(const Restore *r, guint *index)
{
    const char *name = r->in->options->request->name;
    g_autofree char *safe = text_escape(name, strlen(name));
    guint n = 0;

    for (guint i = 0; i < r->in->check->bitmaps.items->len; i++) {
        if (g_strcmp0(bitmap_at(r, i)->name, name) == 0) {
            *index = i;
            n++;
        }
    }
    if (n > 1) {
        return request_refuse(r->errp, "There are %u bitmaps '%s'; --drop bitmaps gives up all bitmaps", n, safe);
    }
    return n || request_refuse(r->errp, "There is no bitmap '%s'", safe);
}

/* Appends the directory as it is stored to @directory, but for entry @without. */
static bool append_others(const Restore *r, GByteArray *directory, guint without)
{
    const Qcow2Extensions *e = &r->in->image->extensions;
    const GArray *items = r->in->check->bitmaps.items;
    uint64_t end = e->bitmap_directory_offset + e->bitmap_directory_size;

    for (guint i = 0; i < items->len; i++) {
        uint64_t offset = bitmap_at(r, i)->entry_offset,
                 next = i + 1 < items->len ? bitmap_at(r, i + 1)->entry_offset : end;
        guint at = directory->len;

        if (i == without) {
            continue;
        }
        g_byte_array_set_size(directory, at + (guint)(next - offset));
        if (block_source_read(r->in->image->source, directory->data + at, next - offset, offset)) {
            return request_refuse(r->errp, "The bitmap directory cannot be read");
        }
    }
    return true;
}

/* The extension refers to a directory of @size bytes at @offset, with one bitmap less. */
static void add_switch(Restore *r, uint64_t offset, uint64_t size)
{
    const Qcow2Extensions *e = &r->in->image->extensions;
    Qcow2DiskBitmapsExtension new = {
        .nb_bitmaps = GUINT32_TO_BE(e->nb_bitmaps - 1),
        .directory_size = GUINT64_TO_BE(size),
        .directory_offset = GUINT64_TO_BE(offset),
    };
    Edit edit = {
        .offset = e->bitmap_directory_entry - offsetof(Qcow2DiskBitmapsExtension, directory_offset),
        .size = sizeof(new),
        .structure = IMAGE_CHECK_STRUCTURE_HEADER,
        .why = QCOW2_FINDING__MAX,
        .count = 1,
        .what = "refer to the new bitmap directory",
        .bytes = g_memdup2(&new, sizeof(new)),
    };

    edits_add(r->edits, EDIT_PHASE_SWITCH, &edit);
}

static bool add_directory(Restore *r, GByteArray *directory)
{
    guint used = directory->len, cluster = (guint)r->in->header->cluster_size;
    Edit edit = {
        .structure = IMAGE_CHECK_STRUCTURE_BITMAP_DIRECTORY,
        .why = QCOW2_FINDING__MAX,
        .what = "a new directory",
    };

    edit.size = DIV_ROUND_UP(used, cluster) * (uint64_t)cluster;
    if (!allocator_reserve(r->alloc, edit.size / cluster, 1, &edit.offset, r->errp)) {
        return false;
    }
    if (!edit.offset) {
        return request_refuse(r->errp, "There is no place for a new bitmap directory");
    }
    edit.bytes = g_malloc0(edit.size);
    memcpy(edit.bytes, directory->data, used);
    edits_add(r->edits, EDIT_PHASE_FREE_SPACE, &edit);
    allocator_add_counts(r->alloc, r->edits, QCOW2_FINDING__MAX);
    add_switch(r, edit.offset, used);
    return true;
}

/* The header has no bitmaps any more. */
static void drop_last(Restore *r)
{
    Edit edit = {
        .offset = offsetof(Qcow2DiskHeader, autoclear_features),
        .structure = IMAGE_CHECK_STRUCTURE_HEADER,
        .why = QCOW2_FINDING__MAX,
        .count = 1,
        .what = "drop what is there",
    };
    uint64_t record =
        r->in->image->extensions.bitmap_directory_entry - offsetof(Qcow2DiskBitmapsExtension, directory_offset) - 8;

    edits_add_word(r->edits, EDIT_PHASE_SWITCH, &edit,
                   r->in->header->autoclear_features & ~(uint64_t)QCOW2_AUTOCLEAR_BITMAPS);
    edit.offset = record;
    edits_add_word(r->edits, EDIT_PHASE_LOWER, &edit,
                   (uint64_t)QCOW2_EXT_DROPPED << 32 | sizeof(Qcow2DiskBitmapsExtension));
}

bool request_drop_bitmap(Restore *r)
{
    const Qcow2Extensions *e = &r->in->image->extensions;
    const Qcow2BitmapDirectory *d = &r->in->check->bitmaps;
    g_autoptr(GByteArray) directory = g_byte_array_new();
    uint64_t payload = e->bitmap_directory_entry - offsetof(Qcow2DiskBitmapsExtension, directory_offset);
    guint dropped = 0;

    if (!e->has_bitmaps) {
        return request_refuse(r->errp, "The image has no bitmaps");
    }
    if (!d->items || d->fault || d->items->len != e->nb_bitmaps) {
        return request_refuse(r->errp,
                              "The bitmap directory has faults, and a new one would lack other bitmaps; --drop "
                              "bitmaps gives up all bitmaps");
    }
    if (!find_bitmap(r, &dropped)) {
        return false;
    }
    if (!allocator_header_writable(r->alloc)) {
        return request_refuse(r->errp, "A guest reads the header as its data");
    }
    if (d->items->len == 1) {
        drop_last(r);
        return true;
    }
    if (payload / SECTOR != (payload + sizeof(Qcow2DiskBitmapsExtension) - 1) / SECTOR) {
        return request_refuse(r->errp,
                              "What refers to the bitmap directory lies across two sectors, and may be written by "
                              "half; --drop bitmaps gives up all bitmaps");
    }
    return append_others(r, directory, dropped) && add_directory(r, directory);
}
