/*
 * Entries of the snapshot table, of the bitmap directory and of bitmap tables: bytes to values, and what is wrong with
 * those. Pure: plain C11, no I/O, nothing allocated.
 *
 * Nothing here is compared with the length of the file. Offsets and sizes are in bytes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_FORMAT_ENTRIES_H
#define BLOCK_QCOW2_FORMAT_ENTRIES_H

#include <stdbool.h>
#include <stdint.h>

#include "block/qcow2/format/header.h"

/* The fixed part of a snapshot's entry, unchecked. */
typedef struct Qcow2SnapshotFields {
    uint64_t l1_table_offset;
    uint32_t l1_size; /* entries */
    uint32_t extra_data_size;
    uint32_t vm_state_size;
    uint32_t date_sec;
    uint32_t date_nsec;
    uint16_t id_size;
    uint16_t name_size;
} Qcow2SnapshotFields;

/* The fixed part of a bitmap's directory entry, unchecked. */
typedef struct Qcow2BitmapFields {
    uint64_t table_offset;
    uint32_t table_size; /* entries */
    uint32_t flags;
    uint32_t extra_data_size;
    uint16_t name_size;
    uint8_t type;
    uint8_t granularity_bits;
} Qcow2BitmapFields;

typedef enum Qcow2BitmapFault {
    QCOW2_BITMAP_SOUND,
    /* its table cannot be followed */
    QCOW2_BITMAP_TABLE_OFFSET,
    QCOW2_BITMAP_TABLE_SIZE,
    /* it can */
    QCOW2_BITMAP_EXTRA_DATA,
    QCOW2_BITMAP_GRANULARITY,
    QCOW2_BITMAP_FLAGS,
    QCOW2_BITMAP_TYPE,
    QCOW2_BITMAP_NAME,
    QCOW2_BITMAP_TABLE_UNFIT, /* for the size of the disk */
} Qcow2BitmapFault;

typedef enum Qcow2BitmapTableFault {
    QCOW2_BITMAP_WORD_SOUND,
    QCOW2_BITMAP_WORD_RESERVED,
    QCOW2_BITMAP_WORD_UNALIGNED,
    QCOW2_BITMAP_WORD_BOTH, /* an offset, and the all-ones flag */
} Qcow2BitmapTableFault;

/* Decodes the sizeof(Qcow2DiskSnapshot) bytes at @bytes. */
Qcow2SnapshotFields qcow2_decode_snapshot(const uint8_t *bytes);

/* Bytes of the entry with its extra data and strings, without the padding behind it. */
uint64_t qcow2_snapshot_length(const Qcow2SnapshotFields *snapshot);

/* Decodes the sizeof(Qcow2DiskBitmapEntry) bytes at @bytes. */
Qcow2BitmapFields qcow2_decode_bitmap(const uint8_t *bytes);

/* Bytes of the entry with its extra data, name and padding. */
uint64_t qcow2_bitmap_length(const Qcow2BitmapFields *bitmap);

/* The first fault of @bitmap; those of its table come first. */
Qcow2BitmapFault qcow2_bitmap_fault(const Qcow2BitmapFields *bitmap, const Qcow2HeaderFields *header);

/* The fault of an entry of a bitmap table. */
Qcow2BitmapTableFault qcow2_bitmap_table_fault(uint64_t entry, const Qcow2HeaderFields *header);

#endif
