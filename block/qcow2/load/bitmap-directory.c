/*
 * The bitmap directory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/load/bitmap-directory.h"

#include <errno.h>
#include <string.h>

#include "block/qcow2/format/entries.h"
#include "block/qcow2/format/format.h"

static const char *const bitmap_faults[] = {
    [QCOW2_BITMAP_SOUND] = NULL,
    [QCOW2_BITMAP_TABLE_OFFSET] = "its table offset is 0 or not cluster aligned",
    [QCOW2_BITMAP_TABLE_SIZE] = "its table is empty or too large",
    [QCOW2_BITMAP_EXTRA_DATA] = "extra data is not supported",
    [QCOW2_BITMAP_GRANULARITY] = "its granularity is out of range",
    [QCOW2_BITMAP_FLAGS] = "it has unknown flags",
    [QCOW2_BITMAP_TYPE] = "it is of an unknown type",
    [QCOW2_BITMAP_NAME] = "its name is too long",
    [QCOW2_BITMAP_TABLE_UNFIT] = "its table does not have the size that the disk asks for",
};

typedef struct DirectoryParser {
    const uint8_t *bytes;
    uint64_t size;   /* how many of them there are */
    uint64_t held;   /* bytes of the directory that the file has */
    uint64_t stated; /* its size in the header extension */
    const Qcow2HeaderFields *header;
    uint64_t offset;   /* of the directory in the file */
    GHashTable *names; /* borrowed from the items */
    Qcow2BitmapDirectory *directory;
} DirectoryParser;

static void clear_bitmap(gpointer opaque)
{
    g_free(((Qcow2Bitmap *)opaque)->name);
}

/* Adds the entry at @at of the directory; returns the bytes that it takes, 0 when it does not fit. */
static uint64_t parse_entry(DirectoryParser *p, uint64_t at)
{
    Qcow2BitmapFields d = qcow2_decode_bitmap(p->bytes + at);
    Qcow2BitmapFault fault = qcow2_bitmap_fault(&d, p->header);
    uint64_t length = qcow2_bitmap_length(&d);
    uint64_t name = MIN(at + sizeof(Qcow2DiskBitmapEntry) + d.extra_data_size, p->size);
    Qcow2Bitmap b;

    if (length > p->stated - at) {
        p->directory->fault = "an entry runs over its end";
        return 0;
    }
    b = (Qcow2Bitmap){
        .entry_offset = p->offset + at,
        .table_offset = d.table_offset,
        .table_size = d.table_size,
        .in_use = d.flags & QCOW2_BITMAP_FLAG_IN_USE,
        .table_valid = fault != QCOW2_BITMAP_TABLE_OFFSET && fault != QCOW2_BITMAP_TABLE_SIZE,
        .fault = bitmap_faults[fault],
        .name = g_strndup((const char *)p->bytes + name, MIN(d.name_size, p->size - name)),
    };
    if (!g_hash_table_add(p->names, b.name) && !b.fault) {
        b.fault = "its name is used twice";
    }
    g_array_append_val(p->directory->items, b);
    return length;
}

static void directory_init(Qcow2BitmapDirectory *directory)
{
    directory->fault = NULL;
    directory->items = g_array_new(FALSE, FALSE, sizeof(Qcow2Bitmap));
    g_array_set_clear_func(directory->items, clear_bitmap);
}

/* Parses entry after entry, and says what is wrong behind the last that fits. */
static void parse_entries(DirectoryParser *p, uint32_t wanted)
{
    Qcow2BitmapDirectory *directory = p->directory;
    uint64_t at = 0;

    while (at < p->stated) {
        uint64_t length;

        if (at >= p->held) {
            directory->fault = "it runs over the end of the file";
            return;
        }
        if (p->stated - at < sizeof(Qcow2DiskBitmapEntry)) {
            directory->fault = "an entry runs over its end";
            return;
        }
        if (directory->items->len == wanted) {
            directory->fault = "it has more entries than the header extension says";
            return;
        }
        length = parse_entry(p, at);
        if (!length) {
            return;
        }
        at += length;
    }
    if (directory->items->len < wanted) {
        directory->fault = "it has fewer entries than the header extension says";
    }
}

void qcow2_parse_bitmap_directory(const uint8_t *bytes, uint64_t size, uint64_t held, const Qcow2HeaderFields *h,
                                  const Qcow2Extensions *e, Qcow2BitmapDirectory *directory)
{
    DirectoryParser parser = {
        .bytes = bytes,
        .size = size,
        .held = held,
        .stated = e->bitmap_directory_size,
        .header = h,
        .offset = e->bitmap_directory_offset,
        .names = g_hash_table_new(g_str_hash, g_str_equal),
        .directory = directory,
    };

    directory_init(directory);
    if (parser.stated == 0) {
        directory->fault = "its size is zero";
    } else {
        parse_entries(&parser, e->nb_bitmaps);
    }
    g_hash_table_destroy(parser.names);
}

bool qcow2_read_bitmap_directory(BlockSource *source, const Qcow2HeaderFields *h, const Qcow2Extensions *e,
                                 Qcow2BitmapDirectory *directory, GError **errp)
{
    g_autofree uint8_t *bytes = NULL;
    uint64_t held = e->bitmap_directory_offset < source->length ? source->length - e->bitmap_directory_offset : 0;
    /* Bytes beyond the end of the file are zeros, here those of the longest entry that the file may cut. */
    uint64_t size = MIN(e->bitmap_directory_size, held + sizeof(Qcow2DiskBitmapEntry) + QCOW2_MAX_BITMAP_NAME);
    int error;

    bytes = g_try_malloc(size);
    error = size == 0 ? 0 : bytes ? block_source_read(source, bytes, size, e->bitmap_directory_offset) : -ENOMEM;
    if (error) {
        directory_init(directory);
        g_set_error(errp, BLOCK_ERROR, -error, "it cannot be read: %s", g_strerror(-error));
        return false;
    }
    qcow2_parse_bitmap_directory(bytes, size, held, h, e, directory);
    return true;
}

void qcow2_bitmap_directory_clear(Qcow2BitmapDirectory *directory)
{
    g_clear_pointer(&directory->items, g_array_unref);
}

const char *qcow2_bitmap_table_entry_fault(uint64_t entry, const Qcow2HeaderFields *h)
{
    static const char *const faults[] = {
        [QCOW2_BITMAP_WORD_SOUND] = NULL,
        [QCOW2_BITMAP_WORD_RESERVED] = "has reserved bits set",
        [QCOW2_BITMAP_WORD_UNALIGNED] = "is not cluster aligned",
        [QCOW2_BITMAP_WORD_BOTH] = "has both an offset and the all-ones flag",
    };

    return faults[qcow2_bitmap_table_fault(entry, h)];
}
