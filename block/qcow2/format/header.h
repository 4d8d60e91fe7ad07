/*
 * The qcow2 header and its extensions: bytes to checked values. Pure: plain C11, no I/O, nothing allocated.
 *
 * The functions work on the first bytes of cluster 0, which the caller keeps. The first fault in the order of the stock
 * tool is returned (docs/interop/check-behaviour.rst 2.2 and 2.3); load/parse-header.h makes its message of it. What is
 * accepted here is inside the limits of the format, but need not lie inside the file.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_FORMAT_HEADER_H
#define BLOCK_QCOW2_FORMAT_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "block/qcow2/format/format.h"

/* Values of the header in host byte order; a version 2 header gets the values that version 3 gives names to. */
typedef struct Qcow2HeaderFields {
    uint32_t version;
    uint32_t crypt_method;
    unsigned cluster_bits;
    unsigned refcount_order; /* a count is 2^refcount_order bits wide */
    unsigned l2_bits;        /* an L2 table has 2^l2_bits entries */
    uint64_t cluster_size;
    uint64_t size; /* virtual, as stored: need not be a multiple of 512 */

    uint64_t l1_table_offset;
    uint32_t l1_size; /* entries */
    uint64_t refcount_table_offset;
    uint32_t refcount_table_clusters;
    uint64_t snapshots_offset; /* unchecked: the snapshot table is no matter of opening */
    uint32_t nb_snapshots;     /* likewise */

    uint64_t backing_file_offset; /* 0 = none */
    uint32_t backing_file_size;
    uint32_t header_length;
    uint64_t incompatible_features;
    uint64_t autoclear_features;
} Qcow2HeaderFields;

static inline bool qcow2_has_extended_l2(const Qcow2HeaderFields *h)
{
    return h->incompatible_features & QCOW2_INCOMPAT_EXTENDED_L2;
}

static inline bool qcow2_has_data_file(const Qcow2HeaderFields *h)
{
    return h->incompatible_features & QCOW2_INCOMPAT_DATA_FILE;
}

/* What the extensions say that a check needs. */
typedef struct Qcow2Extensions {
    bool has_bitmaps;   /* present and valid: to be counted */
    bool stale_bitmaps; /* present, but a program that does not know them has written to the image */
    uint32_t nb_bitmaps;
    uint64_t bitmap_directory_size;   /* bytes */
    uint64_t bitmap_directory_offset; /* cluster aligned */
    uint64_t bitmap_directory_entry;  /* where in the file that offset lies */

    bool has_crypt_header;
    uint64_t crypt_header_offset; /* cluster aligned */
    uint64_t crypt_header_length; /* bytes; may be anything */
    uint64_t crypt_header_entry;  /* where in the file the offset lies */
} Qcow2Extensions;

/* Why a header is refused. */
typedef enum Qcow2HeaderFault {
    QCOW2_HEADER_SOUND,
    QCOW2_HEADER_NOT_QCOW2,
    QCOW2_HEADER_VERSION,
    QCOW2_HEADER_CLUSTER_BITS,
    QCOW2_HEADER_TOO_SHORT,
    QCOW2_HEADER_TOO_LONG,
    QCOW2_HEADER_BACKING_OFFSET,
    QCOW2_HEADER_COMPRESSION_TYPE,
    QCOW2_HEADER_COMPRESSION_BIT,
    QCOW2_HEADER_UNKNOWN_FEATURES,
    QCOW2_HEADER_SUBCLUSTER_SIZE,
    QCOW2_HEADER_REFCOUNT_ORDER,
    QCOW2_HEADER_REFCOUNT_TABLE_SIZE,
    QCOW2_HEADER_REFCOUNT_TABLE_OFFSET,
    QCOW2_HEADER_L1_SIZE,
    QCOW2_HEADER_L1_OFFSET,
    QCOW2_HEADER_IMAGE_SIZE,
    QCOW2_HEADER_L1_TOO_SMALL,
} Qcow2HeaderFault;

/* Why extensions are refused. */
typedef enum Qcow2ExtensionFault {
    QCOW2_EXTENSION_SOUND,
    QCOW2_EXTENSION_BACKING_FORMAT_LENGTH,
    QCOW2_EXTENSION_CRYPT_WITHOUT_LUKS,
    QCOW2_EXTENSION_CRYPT_LENGTH,
    QCOW2_EXTENSION_CRYPT_OFFSET,
    QCOW2_EXTENSION_BITMAPS_LENGTH,
    QCOW2_EXTENSION_BITMAPS_RESERVED,
    QCOW2_EXTENSION_BITMAPS_TOO_MANY,
    QCOW2_EXTENSION_BITMAPS_NONE,
    QCOW2_EXTENSION_BITMAPS_OFFSET,
    QCOW2_EXTENSION_BITMAPS_SIZE,
    QCOW2_EXTENSION_TOO_LARGE,
} Qcow2ExtensionFault;

/*
 * Decodes the header in the first @size bytes of an image (at least 112; zeros where the file is shorter). Of a refused
 * one, the fields that have been loaded are set; the size of a cluster is not unless it is known.
 */
Qcow2HeaderFault qcow2_decode_header(const uint8_t *bytes, size_t size, Qcow2HeaderFields *header);

/*
 * Decodes the extensions in the first @size bytes of an image. *length is that of the payload of the last one read,
 * which is the one with the fault.
 *
 * *more is set, and nothing else, when they go on behind @size: call again with the whole of cluster 0.
 */
Qcow2ExtensionFault qcow2_decode_extensions(const uint8_t *bytes, size_t size, const Qcow2HeaderFields *header,
                                            Qcow2Extensions *extensions, bool *more, uint32_t *length);

/* One record of the extensions. */
typedef struct Qcow2ExtensionRecord {
    uint32_t type;
    uint32_t length;  /* of the payload, which lies within what was read */
    uint64_t payload; /* its offset */
} Qcow2ExtensionRecord;

/*
 * The first record at or behind *@at of the first @size bytes of an image, and *@at moved behind it; begin with *@at 0.
 * False at the end of the extensions.
 */
bool qcow2_next_extension(const uint8_t *bytes, size_t size, const Qcow2HeaderFields *header, uint64_t *at,
                          Qcow2ExtensionRecord *record);

#endif
