/*
 * Entries of the snapshot table, of the bitmap directory and of bitmap tables.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/format/entries.h"

#include <string.h>

#include "block/qcow2/format/format.h"
#include "util/number.h"

Qcow2SnapshotFields qcow2_decode_snapshot(const uint8_t *bytes)
{
    Qcow2DiskSnapshot d;

    memcpy(&d, bytes, sizeof(d));
    return (Qcow2SnapshotFields){
        .l1_table_offset = swap_be64(d.l1_table_offset),
        .l1_size = swap_be32(d.l1_size),
        .extra_data_size = swap_be32(d.extra_data_size),
        .vm_state_size = swap_be32(d.vm_state_size),
        .date_sec = swap_be32(d.date_sec),
        .date_nsec = swap_be32(d.date_nsec),
        .id_size = swap_be16(d.id_size),
        .name_size = swap_be16(d.name_size),
    };
}

uint64_t qcow2_snapshot_length(const Qcow2SnapshotFields *s)
{
    return sizeof(Qcow2DiskSnapshot) + (uint64_t)s->extra_data_size + s->id_size + s->name_size;
}

Qcow2BitmapFields qcow2_decode_bitmap(const uint8_t *bytes)
{
    Qcow2DiskBitmapEntry d;

    memcpy(&d, bytes, sizeof(d));
    return (Qcow2BitmapFields){
        .table_offset = swap_be64(d.table_offset),
        .table_size = swap_be32(d.table_size),
        .flags = swap_be32(d.flags),
        .extra_data_size = swap_be32(d.extra_data_size),
        .name_size = swap_be16(d.name_size),
        .type = d.type,
        .granularity_bits = d.granularity_bits,
    };
}

uint64_t qcow2_bitmap_length(const Qcow2BitmapFields *b)
{
    uint64_t length = sizeof(Qcow2DiskBitmapEntry) + (uint64_t)b->extra_data_size + b->name_size;

    return DIV_ROUND_UP(length, QCOW2_BITMAP_ENTRY_ALIGNMENT) * QCOW2_BITMAP_ENTRY_ALIGNMENT;
}

/* The entries that the table of a bitmap has to have. */
static uint64_t table_size_wanted(unsigned granularity_bits, const Qcow2HeaderFields *h)
{
    uint64_t size = h->size / QCOW2_SECTOR_SIZE * QCOW2_SECTOR_SIZE;
    uint64_t bits = DIV_ROUND_UP(size, UINT64_C(1) << granularity_bits);
    uint64_t bytes = DIV_ROUND_UP(bits, 64) * 8;

    return DIV_ROUND_UP(bytes, h->cluster_size);
}

Qcow2BitmapFault qcow2_bitmap_fault(const Qcow2BitmapFields *b, const Qcow2HeaderFields *h)
{
    if (!b->table_offset || b->table_offset % h->cluster_size) {
        return QCOW2_BITMAP_TABLE_OFFSET;
    }
    if (!b->table_size || b->table_size > QCOW2_MAX_BITMAP_TABLE_ENTRIES ||
        b->table_size * h->cluster_size > QCOW2_MAX_BITMAP_BYTES) {
        return QCOW2_BITMAP_TABLE_SIZE;
    }
    if (b->extra_data_size) {
        return QCOW2_BITMAP_EXTRA_DATA;
    }
    if (b->granularity_bits < QCOW2_MIN_BITMAP_GRANULARITY_BITS ||
        b->granularity_bits > QCOW2_MAX_BITMAP_GRANULARITY_BITS) {
        return QCOW2_BITMAP_GRANULARITY;
    }
    if (b->flags & ~(QCOW2_BITMAP_FLAG_IN_USE | QCOW2_BITMAP_FLAG_AUTO)) {
        return QCOW2_BITMAP_FLAGS;
    }
    if (b->type != QCOW2_BITMAP_TYPE_DIRTY_TRACKING) {
        return QCOW2_BITMAP_TYPE;
    }
    if (b->name_size > QCOW2_MAX_BITMAP_NAME) {
        return QCOW2_BITMAP_NAME;
    }
    if (!(b->flags & QCOW2_BITMAP_FLAG_IN_USE) && b->table_size != table_size_wanted(b->granularity_bits, h)) {
        return QCOW2_BITMAP_TABLE_UNFIT;
    }
    return QCOW2_BITMAP_SOUND;
}

Qcow2BitmapTableFault qcow2_bitmap_table_fault(uint64_t entry, const Qcow2HeaderFields *h)
{
    uint64_t offset = entry & QCOW2_OFFSET_MASK;

    if (entry & QCOW2_BITMAP_TABLE_RESERVED) {
        return QCOW2_BITMAP_WORD_RESERVED;
    }
    if (offset % h->cluster_size) {
        return QCOW2_BITMAP_WORD_UNALIGNED;
    }
    if (offset && (entry & QCOW2_BITMAP_TABLE_ALL_ONES)) {
        return QCOW2_BITMAP_WORD_BOTH;
    }
    return QCOW2_BITMAP_WORD_SOUND;
}
