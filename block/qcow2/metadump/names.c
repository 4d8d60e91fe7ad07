/*
 * Copying what has names in it: header, snapshot table, bitmap directory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/metadump/names.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "block/qcow2/format/format.h"
#include "util/number.h"

#define KNOWN_SNAPSHOT_EXTRA 24 /* bytes: size of the VM state, of the disk, instruction count */

/* Bytes. Programs make shorter ones; a damaged length would have us copy whatever lies behind. */
#define USUAL_ID   128
#define USUAL_NAME 256

static void scramble(Qcow2Copy *copy, uint8_t *bytes, uint64_t offset, uint64_t size)
{
    if (copy->scrambler) {
        qcow2_scramble(copy->scrambler, bytes + offset, size);
    }
}

/* The @size bytes at @offset as far as the image reaches, *@held of them; NULL when they cannot be had, which is told.
 */
static uint8_t *read_part(Qcow2Copy *copy, ImageCheckStructure structure, uint64_t offset, uint64_t size,
                          uint64_t *held)
{
    BlockSource *source = copy->check->image->source;
    g_autofree uint8_t *bytes = NULL;
    int error;

    *held = offset < source->length ? MIN(size, source->length - offset) : 0;
    if (!*held) {
        return NULL;
    }
    bytes = g_try_malloc(*held);
    error = bytes ? block_source_read(source, bytes, *held, offset) : -ENOMEM;
    if (error) {
        qcow2_copy_omit(copy, structure, offset, size, g_strerror(-error));
        return NULL;
    }
    return g_steal_pointer(&bytes);
}

/* ---- header ---- */

static void copy_extension(Qcow2Copy *copy, uint8_t *to, const uint8_t *from, const Qcow2ExtensionRecord *record)
{
    memcpy(to + record->payload - sizeof(Qcow2DiskExtension), from + record->payload - sizeof(Qcow2DiskExtension),
           sizeof(Qcow2DiskExtension) + record->length);
    switch (record->type) {
    case QCOW2_EXT_BACKING_FORMAT:
    case QCOW2_EXT_FEATURE_NAMES:
    case QCOW2_EXT_BITMAPS:
    case QCOW2_EXT_CRYPT_HEADER:
        break;
    case QCOW2_EXT_DATA_FILE:
        scramble(copy, to, record->payload, record->length);
        break;
    default:
        if (copy->scrambler) {
            memset(to + record->payload, 0, record->length);
        }
    }
}

/* Cluster 0 may have anything behind what the header and its extensions take; that stays where it is. */
bool qcow2_copy_header(Qcow2Copy *copy)
{
    const Qcow2HeaderFields *h = &copy->check->image->header;
    uint64_t held, at = 0;
    g_autofree uint8_t *part = read_part(copy, IMAGE_CHECK_STRUCTURE_HEADER, 0, h->cluster_size, &held);
    g_autofree uint8_t *from = g_malloc0(h->cluster_size), *to = g_malloc0(h->cluster_size);
    Qcow2ExtensionRecord record;

    if (!part) {
        return true;
    }
    memcpy(from, part, held); /* an extension may go on in the zeros behind the end */
    if (h->backing_file_offset && h->backing_file_offset < held) {
        uint64_t size = MIN(h->backing_file_size, held - h->backing_file_offset);

        memcpy(to + h->backing_file_offset, from + h->backing_file_offset, size);
        scramble(copy, to, h->backing_file_offset, size);
    }
    /* over a name that is said to be in the same place */
    memcpy(to, from, h->header_length);
    while (qcow2_next_extension(from, h->cluster_size, h, &at, &record)) {
        copy_extension(copy, to, from, &record);
    }
    if (copy->over_header && memcmp(from, to, held) != 0) {
        qcow2_copy_omit(copy, IMAGE_CHECK_STRUCTURE_HEADER, 0, held,
                        "other structures are said to be there too, of which nothing is copied");
    }
    return qcow2_copy_bytes(copy, 0, to, held);
}

/* ---- snapshot table ---- */

static bool most_are_valid(const Qcow2Check *c)
{
    const GArray *items = c->snapshots.items;
    guint valid = 0;

    for (guint i = 0; i < items->len; i++) {
        const Qcow2Snapshot *s = &g_array_index(items, Qcow2Snapshot, i);

        valid += s->extra_data_size <= QCOW2_MAX_SNAPSHOT_EXTRA && qcow2_snapshot_l1_valid(s, &c->image->header);
    }
    return valid >= items->len - valid;
}

/* Cleans the entry at @at of the table of @size bytes, and returns where it ends; @size when that is beyond. */
static uint64_t clean_snapshot(Qcow2Copy *copy, uint8_t *table, uint64_t size, uint64_t at)
{
    uint64_t extra_at = at + sizeof(Qcow2DiskSnapshot), name_at, end;
    uint32_t extra_size, known;
    uint16_t id_size, name_size;

    if (size - at < sizeof(Qcow2DiskSnapshot)) {
        return size;
    }
    extra_size = load_be32(table + at + offsetof(Qcow2DiskSnapshot, extra_data_size));
    id_size = load_be16(table + at + offsetof(Qcow2DiskSnapshot, id_size));
    name_size = load_be16(table + at + offsetof(Qcow2DiskSnapshot, name_size));
    known = MIN(extra_size, copy->scrambler ? KNOWN_SNAPSHOT_EXTRA : QCOW2_MAX_SNAPSHOT_EXTRA);
    name_at = extra_at + extra_size + id_size;
    end = name_at + name_size;
    if (end > size || extra_size > QCOW2_MAX_SNAPSHOT_EXTRA || id_size > USUAL_ID || name_size > USUAL_NAME) {
        end = MIN(end, size);
        memset(table + extra_at, 0, end - extra_at);
        qcow2_copy_omit(copy, IMAGE_CHECK_STRUCTURE_SNAPSHOT_TABLE,
                        copy->check->image->header.snapshots_offset + extra_at, end - extra_at,
                        "the entry has an unusual length, and this need not belong to it");
        return end;
    }
    memset(table + extra_at + known, 0, extra_size - known);
    scramble(copy, table, name_at, name_size);
    return end;
}

bool qcow2_copy_snapshot_table(Qcow2Copy *copy)
{
    const Qcow2Check *c = copy->check;
    uint64_t offset = c->image->header.snapshots_offset, length = c->snapshots.table_length, held;
    uint64_t entries_left = c->image->header.nb_snapshots - c->snapshots.items->len;
    g_autofree uint8_t *table = read_part(copy, IMAGE_CHECK_STRUCTURE_SNAPSHOT_TABLE, offset, length, &held);

    if (entries_left) {
        qcow2_copy_omit(copy, IMAGE_CHECK_STRUCTURE_SNAPSHOT_TABLE, offset + length,
                        entries_left * sizeof(Qcow2DiskSnapshot), "the entries from here on make no sense");
    }
    if (!table) {
        return true;
    }
    if (!most_are_valid(c)) {
        qcow2_copy_omit(copy, IMAGE_CHECK_STRUCTURE_SNAPSHOT_TABLE, offset, length, QCOW2_COPY_IMPLAUSIBLE);
        return true;
    }
    for (uint64_t at = 0; at < held;
         at = (at + QCOW2_SNAPSHOT_ALIGNMENT - 1) & ~(uint64_t)(QCOW2_SNAPSHOT_ALIGNMENT - 1)) {
        at = clean_snapshot(copy, table, held, at);
    }
    return qcow2_copy_bytes(copy, offset, table, held);
}

/* ---- bitmap directory ---- */

/* Cleans the entry at @at of the directory of @size bytes, and returns where it ends; @at when that is beyond. */
static uint64_t clean_bitmap(Qcow2Copy *copy, uint8_t *directory, uint64_t size, uint64_t at)
{
    uint64_t extra_at = at + sizeof(Qcow2DiskBitmapEntry), name_at, end;
    uint32_t extra_size;
    uint16_t name_size;

    if (extra_at > size) {
        return MIN(at, size);
    }
    extra_size = load_be32(directory + at + offsetof(Qcow2DiskBitmapEntry, extra_data_size));
    name_size = load_be16(directory + at + offsetof(Qcow2DiskBitmapEntry, name_size));
    name_at = extra_at + extra_size;
    end = name_at + name_size;
    if (end > size) {
        return MIN(at, size);
    }
    if (copy->scrambler) {
        memset(directory + extra_at, 0, extra_size);
    }
    scramble(copy, directory, name_at, name_size);
    return end;
}

static bool most_are_damaged(const GArray *bitmaps)
{
    guint damaged = 0;

    for (guint i = 0; i < bitmaps->len; i++) {
        damaged += g_array_index(bitmaps, Qcow2Bitmap, i).fault != NULL;
    }
    return damaged > bitmaps->len / 2 || bitmaps->len == 0;
}

/* What lies behind the last entry that was understood is not copied. */
bool qcow2_copy_bitmap_directory(Qcow2Copy *copy)
{
    const Qcow2Check *c = copy->check;
    const GArray *items = c->bitmaps.items;
    uint64_t offset = c->image->extensions.bitmap_directory_offset;
    uint64_t size = c->image->extensions.bitmap_directory_size, held, end = 0;
    g_autofree uint8_t *directory = NULL;

    if (!c->image->extensions.has_bitmaps) {
        return true;
    }
    if (most_are_damaged(items)) {
        qcow2_copy_omit(copy, IMAGE_CHECK_STRUCTURE_BITMAP_DIRECTORY, offset, size, QCOW2_COPY_IMPLAUSIBLE);
        return true;
    }
    directory = read_part(copy, IMAGE_CHECK_STRUCTURE_BITMAP_DIRECTORY, offset, size, &held);
    if (c->bitmaps.fault) {
        qcow2_copy_omit(copy, IMAGE_CHECK_STRUCTURE_BITMAP_DIRECTORY, offset, size, c->bitmaps.fault);
    }
    for (guint i = 0; directory && i < items->len; i++) {
        end = clean_bitmap(copy, directory, held, g_array_index(items, Qcow2Bitmap, i).entry_offset - offset);
    }
    return !directory || qcow2_copy_bytes(copy, offset, directory, end);
}
