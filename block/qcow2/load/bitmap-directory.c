/*
 * The bitmap directory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/load/bitmap-directory.h"

#include <errno.h>
#include <string.h>

#include "block/qcow2/format/format.h"
#include "util/number.h"

static uint64_t table_size_wanted(unsigned granularity_bits, const Qcow2HeaderFields *h)
{
    uint64_t size = h->size / QCOW2_SECTOR_SIZE * QCOW2_SECTOR_SIZE;
    uint64_t bits = DIV_ROUND_UP(size, UINT64_C(1) << granularity_bits);
    uint64_t bytes = DIV_ROUND_UP(bits, 64) * 8;

    return DIV_ROUND_UP(bytes, h->cluster_size);
}

/* Where the table lies and how long it is, as far as following it goes. */
static const char *check_table(const Qcow2Bitmap *b, const Qcow2HeaderFields *h)
{
    if (!b->table_offset || b->table_offset % h->cluster_size) {
        return "its table offset is 0 or not cluster aligned";
    }
    if (!b->table_size || b->table_size > QCOW2_MAX_BITMAP_TABLE_ENTRIES ||
        b->table_size * h->cluster_size > QCOW2_MAX_BITMAP_BYTES) {
        return "its table is empty or too large";
    }
    return NULL;
}

static const char *check_entry(const Qcow2DiskBitmapEntry *d, const Qcow2Bitmap *b, const Qcow2HeaderFields *h)
{
    uint32_t flags = GUINT32_FROM_BE(d->flags);
    uint64_t wanted;

    if (d->extra_data_size) {
        return "extra data is not supported";
    }
    if (d->granularity_bits < QCOW2_MIN_BITMAP_GRANULARITY_BITS ||
        d->granularity_bits > QCOW2_MAX_BITMAP_GRANULARITY_BITS) {
        return "its granularity is out of range";
    }
    if (flags & ~(QCOW2_BITMAP_FLAG_IN_USE | QCOW2_BITMAP_FLAG_AUTO)) {
        return "it has unknown flags";
    }
    if (d->type != QCOW2_BITMAP_TYPE_DIRTY_TRACKING) {
        return "it is of an unknown type";
    }
    if (GUINT16_FROM_BE(d->name_size) > QCOW2_MAX_BITMAP_NAME) {
        return "its name is too long";
    }
    wanted = table_size_wanted(d->granularity_bits, h);
    if (!(flags & QCOW2_BITMAP_FLAG_IN_USE) && b->table_size != wanted) {
        return "its table does not have the size that the disk asks for";
    }
    return NULL;
}

typedef struct DirectoryParser {
    const uint8_t *bytes;
    uint64_t size;
    uint64_t held; /* bytes of it that the file has */
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
    Qcow2DiskBitmapEntry d;
    Qcow2Bitmap b;
    uint64_t extra, name_size, length;

    memcpy(&d, p->bytes + at, sizeof(d));
    extra = GUINT32_FROM_BE(d.extra_data_size);
    name_size = GUINT16_FROM_BE(d.name_size);
    length = (sizeof(d) + extra + name_size + QCOW2_BITMAP_ENTRY_ALIGNMENT - 1) / QCOW2_BITMAP_ENTRY_ALIGNMENT *
             QCOW2_BITMAP_ENTRY_ALIGNMENT;
    if (length > p->size - at) {
        p->directory->fault = "an entry runs over its end";
        return 0;
    }
    b = (Qcow2Bitmap){
        .entry_offset = p->offset + at,
        .table_offset = GUINT64_FROM_BE(d.table_offset),
        .table_size = GUINT32_FROM_BE(d.table_size),
        .in_use = GUINT32_FROM_BE(d.flags) & QCOW2_BITMAP_FLAG_IN_USE,
        .name = g_strndup((const char *)p->bytes + at + sizeof(d) + extra, name_size),
    };
    b.fault = check_table(&b, p->header);
    b.table_valid = !b.fault;
    if (!b.fault) {
        b.fault = check_entry(&d, &b, p->header);
    }
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

    while (at < p->size && at <= p->held) {
        uint64_t length;

        if (p->size - at < sizeof(Qcow2DiskBitmapEntry)) {
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
        .header = h,
        .offset = e->bitmap_directory_offset,
        .names = g_hash_table_new(g_str_hash, g_str_equal),
        .directory = directory,
    };

    directory_init(directory);
    if (size == 0) {
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
    /*
     * Bytes beyond the end of the file are zeros: those of the longest entry that the file may cut, and those of an
     * entry behind it, which has a fault.
     */
    uint64_t size = MIN(e->bitmap_directory_size,
                        held + sizeof(Qcow2DiskBitmapEntry) + QCOW2_MAX_BITMAP_NAME + sizeof(Qcow2DiskBitmapEntry));
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
    uint64_t offset = entry & QCOW2_OFFSET_MASK;

    if (entry & QCOW2_BITMAP_TABLE_RESERVED) {
        return "has reserved bits set";
    }
    if (offset % h->cluster_size) {
        return "is not cluster aligned";
    }
    if (offset && (entry & QCOW2_BITMAP_TABLE_ALL_ONES)) {
        return "has both an offset and the all-ones flag";
    }
    return NULL;
}
