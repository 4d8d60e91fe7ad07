/*
 * The qcow2 format at a glance: structures as they lie on disk, masks, limits and feature bits. Nothing else
 * in the tree defines one.
 *
 *     cluster 0     header | header extensions | backing file name
 *
 *     header ──> refcount table ──> refcount blocks            how often each host cluster is used
 *        ├─────> active L1 table ─┐
 *        ├─────> snapshot table ──┴──> L1 tables ──> L2 tables ──> guest data
 *        └─ extensions ──> bitmap directory ──> bitmap tables ──> bitmap data
 *                  └────> encryption header
 *
 * All integers on disk are unsigned and big-endian. Sections named below are those of
 * docs/interop/qcow2-format.rst. Offsets and sizes are in bytes unless said otherwise.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_FORMAT_FORMAT_H
#define BLOCK_QCOW2_FORMAT_FORMAT_H

#include <assert.h>
#include <stdint.h>

/* ---- header, section 2 ---- */

#define QCOW2_MAGIC 0x514649fbu

typedef struct Qcow2DiskHeader {
    uint32_t magic;
    uint32_t version;
    uint64_t backing_file_offset;
    uint32_t backing_file_size;
    uint32_t cluster_bits;
    uint64_t size; /* of the virtual disk */
    uint32_t crypt_method;
    uint32_t l1_size; /* entries */
    uint64_t l1_table_offset;
    uint64_t refcount_table_offset;
    uint32_t refcount_table_clusters;
    uint32_t nb_snapshots;
    uint64_t snapshots_offset;
    /* version 3 */
    uint64_t incompatible_features;
    uint64_t compatible_features;
    uint64_t autoclear_features;
    uint32_t refcount_order;
    uint32_t header_length;
    /* only where header_length > 104 */
    uint8_t compression_type;
    uint8_t padding[7];
} Qcow2DiskHeader;

static_assert(sizeof(Qcow2DiskHeader) == 112, "size on disk");

#define QCOW2_V2_HEADER_LENGTH     72
#define QCOW2_V3_MIN_HEADER_LENGTH 104

#define QCOW2_MIN_CLUSTER_BITS    9
#define QCOW2_MAX_CLUSTER_BITS    21
#define QCOW2_MAX_REFCOUNT_ORDER  6
#define QCOW2_SUBCLUSTERS         32 /* in a cluster, with extended L2 entries */
#define QCOW2_MIN_SUBCLUSTER_SIZE 512

enum { QCOW2_CRYPT_NONE = 0, QCOW2_CRYPT_AES = 1, QCOW2_CRYPT_LUKS = 2 };
enum { QCOW2_COMPRESSION_ZLIB = 0, QCOW2_COMPRESSION_ZSTD = 1 };

/* Feature bits, section 2. */
#define QCOW2_INCOMPAT_DIRTY          (UINT64_C(1) << 0)
#define QCOW2_INCOMPAT_CORRUPT        (UINT64_C(1) << 1)
#define QCOW2_INCOMPAT_DATA_FILE      (UINT64_C(1) << 2)
#define QCOW2_INCOMPAT_COMPRESSION    (UINT64_C(1) << 3)
#define QCOW2_INCOMPAT_EXTENDED_L2    (UINT64_C(1) << 4)
#define QCOW2_INCOMPAT_KNOWN          UINT64_C(0x1f)
#define QCOW2_AUTOCLEAR_BITMAPS       (UINT64_C(1) << 0)
#define QCOW2_AUTOCLEAR_DATA_FILE_RAW (UINT64_C(1) << 1)
#define QCOW2_AUTOCLEAR_KNOWN         UINT64_C(0x3)

/* Limits beyond which an image is refused, docs/interop/check-behaviour.rst 2.2. */
#define QCOW2_MAX_L1_BYTES       (UINT64_C(32) << 20)
#define QCOW2_MAX_L1_ENTRIES     (QCOW2_MAX_L1_BYTES / 8)
#define QCOW2_MAX_REFTABLE_BYTES (UINT64_C(8) << 20)
#define QCOW2_MAX_BACKING_NAME   1023
#define QCOW2_MAX_BACKING_FORMAT 15

/* ---- header extensions, section 3 ---- */

typedef struct Qcow2DiskExtension {
    uint32_t type;
    uint32_t length; /* of the payload; the next record begins at the next multiple of 8 */
} Qcow2DiskExtension;

#define QCOW2_EXT_END            0x00000000u
#define QCOW2_EXT_BACKING_FORMAT 0xe2792acau
#define QCOW2_EXT_FEATURE_NAMES  0x6803f857u
#define QCOW2_EXT_BITMAPS        0x23852875u
#define QCOW2_EXT_CRYPT_HEADER   0x0537be77u
#define QCOW2_EXT_DATA_FILE      0x44415441u
/* What check --drop makes of an extension. Readers pass over types that they do not know. "drop" in ASCII. */
#define QCOW2_EXT_DROPPED 0x64726f70u

typedef struct Qcow2DiskFeatureName {
    uint8_t kind; /* 0 incompatible, 1 compatible, 2 autoclear */
    uint8_t bit;
    char name[46]; /* not terminated when full */
} Qcow2DiskFeatureName;

static_assert(sizeof(Qcow2DiskFeatureName) == 48, "size on disk");

typedef struct Qcow2DiskCryptExtension {
    uint64_t offset;
    uint64_t length;
} Qcow2DiskCryptExtension;

typedef struct Qcow2DiskBitmapsExtension {
    uint32_t nb_bitmaps;
    uint32_t reserved;
    uint64_t directory_size;
    uint64_t directory_offset;
} Qcow2DiskBitmapsExtension;

static_assert(sizeof(Qcow2DiskBitmapsExtension) == 24, "size on disk");

/* ---- L1 and L2 entries, sections 5 to 7 ---- */

#define QCOW2_OFFSET_MASK      UINT64_C(0x00fffffffffffe00)
#define QCOW2_OFLAG_COPIED     (UINT64_C(1) << 63)
#define QCOW2_OFLAG_COMPRESSED (UINT64_C(1) << 62)
#define QCOW2_OFLAG_ZERO       (UINT64_C(1) << 0)
#define QCOW2_L1_RESERVED      UINT64_C(0x7f000000000001ff)
#define QCOW2_L2_RESERVED      UINT64_C(0x3f000000000001fe)
#define QCOW2_SECTOR_SIZE      512 /* the unit of compressed lengths and of the virtual size */

/* ---- refcount table and blocks, section 8 ---- */

#define QCOW2_REFTABLE_OFFSET_MASK UINT64_C(0xfffffffffffffe00)
#define QCOW2_REFTABLE_RESERVED    UINT64_C(0x1ff)

/* ---- snapshot table, section 9 ---- */

typedef struct __attribute__((packed)) Qcow2DiskSnapshot {
    uint64_t l1_table_offset;
    uint32_t l1_size; /* entries */
    uint16_t id_size;
    uint16_t name_size;
    uint32_t date_sec;
    uint32_t date_nsec;
    uint64_t vm_clock_nsec;
    uint32_t vm_state_size;
    uint32_t extra_data_size;
} Qcow2DiskSnapshot;

static_assert(sizeof(Qcow2DiskSnapshot) == 40, "size on disk");

#define QCOW2_SNAPSHOT_ALIGNMENT       8
#define QCOW2_MAX_SNAPSHOTS            65536
#define QCOW2_MAX_SNAPSHOT_TABLE_BYTES (UINT64_C(1024) * QCOW2_MAX_SNAPSHOTS)
#define QCOW2_MAX_SNAPSHOT_EXTRA       1024
#define QCOW2_V3_MIN_SNAPSHOT_EXTRA    16

/* ---- bitmaps, section 11 ---- */

typedef struct __attribute__((packed)) Qcow2DiskBitmapEntry {
    uint64_t table_offset;
    uint32_t table_size; /* entries */
    uint32_t flags;
    uint8_t type;
    uint8_t granularity_bits;
    uint16_t name_size;
    uint32_t extra_data_size;
} Qcow2DiskBitmapEntry;

static_assert(sizeof(Qcow2DiskBitmapEntry) == 24, "size on disk");

#define QCOW2_BITMAP_FLAG_IN_USE          0x1u
#define QCOW2_BITMAP_FLAG_AUTO            0x2u
#define QCOW2_BITMAP_TYPE_DIRTY_TRACKING  1
#define QCOW2_BITMAP_ENTRY_ALIGNMENT      8
#define QCOW2_BITMAP_TABLE_RESERVED       UINT64_C(0xff000000000001fe)
#define QCOW2_BITMAP_TABLE_ALL_ONES       (UINT64_C(1) << 0)
#define QCOW2_MAX_BITMAPS                 65535
#define QCOW2_MAX_BITMAP_DIRECTORY_BYTES  (UINT64_C(1024) * QCOW2_MAX_BITMAPS)
#define QCOW2_MAX_BITMAP_TABLE_ENTRIES    0x8000000u
#define QCOW2_MAX_BITMAP_BYTES            (UINT64_C(512) << 20)
#define QCOW2_MIN_BITMAP_GRANULARITY_BITS 9
#define QCOW2_MAX_BITMAP_GRANULARITY_BITS 31
#define QCOW2_MAX_BITMAP_NAME             1023

#endif
