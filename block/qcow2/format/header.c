/*
 * The qcow2 header and its extensions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/format/header.h"

#include <assert.h>

#include "block/qcow2/format/format.h"
#include "util/number.h"

/*
 * The end of what a source can hold. Tables that reach beyond it are refused, not read
 * (docs/interop/check-behaviour.rst 2.2, tests 16 and 18).
 */
static bool table_range_valid(uint64_t offset, uint64_t bytes, uint64_t cluster_size)
{
    uint64_t end;

    return offset % cluster_size == 0 && add_u64(offset, bytes, &end) && end <= INT64_MAX;
}

static void load_fields(const uint8_t *bytes, Qcow2HeaderFields *h)
{
    Qcow2DiskHeader d;

    memcpy(&d, bytes, sizeof(d));
    *h = (Qcow2HeaderFields){
        .version = swap_be32(d.version),
        .crypt_method = swap_be32(d.crypt_method),
        .cluster_bits = swap_be32(d.cluster_bits),
        .refcount_order = 4,
        .size = swap_be64(d.size),
        .l1_table_offset = swap_be64(d.l1_table_offset),
        .l1_size = swap_be32(d.l1_size),
        .refcount_table_offset = swap_be64(d.refcount_table_offset),
        .refcount_table_clusters = swap_be32(d.refcount_table_clusters),
        .snapshots_offset = swap_be64(d.snapshots_offset),
        .nb_snapshots = swap_be32(d.nb_snapshots),
        .backing_file_offset = swap_be64(d.backing_file_offset),
        .backing_file_size = swap_be32(d.backing_file_size),
        .header_length = QCOW2_V2_HEADER_LENGTH,
    };
    if (h->version >= 3) {
        h->refcount_order = swap_be32(d.refcount_order);
        h->header_length = swap_be32(d.header_length);
        h->incompatible_features = swap_be64(d.incompatible_features);
        h->autoclear_features = swap_be64(d.autoclear_features);
    }
}

#define MAX_CLUSTER (UINT64_C(1) << QCOW2_MAX_CLUSTER_BITS)

/*
 * One step through the extensions. False at their end; with *error set where the area is malformed, and with
 * *more set where it goes on behind @size.
 */
typedef struct ExtensionWalk {
    const uint8_t *bytes;
    size_t size;
    uint64_t next; /* offset of the next record */
    uint64_t end;  /* of the area */

    uint32_t type;
    uint32_t length;
    const uint8_t *payload;
    bool malformed;
    bool more;
} ExtensionWalk;

/*@ requires \valid_read(h) && h->backing_file_offset <= MAX_CLUSTER && h->cluster_size <= MAX_CLUSTER;
    assigns \nothing;
    ensures \result.bytes == bytes && \result.size == size && \result.next == h->header_length &&
            \result.end <= MAX_CLUSTER; */
static ExtensionWalk extension_walk(const uint8_t *bytes, size_t size, const Qcow2HeaderFields *h)
{
    return (ExtensionWalk){
        .bytes = bytes,
        .size = size,
        .next = h->header_length,
        .end = h->backing_file_offset ? h->backing_file_offset : h->cluster_size,
    };
}

/*@ requires \valid(w) && w->end <= MAX_CLUSTER;
    requires \valid_read(w->bytes + (0 .. w->size - 1)) && \separated(w, w->bytes + (0 .. w->size - 1));
    assigns w->next, w->type, w->length, w->payload, w->malformed, w->more;
    ensures \result ==> \old(w->next) < w->end && w->next >= \old(w->next) + 8;
    ensures \result ==> w->payload == w->bytes + (\old(w->next) + 8) &&
                        \old(w->next) + 8 + w->length <= w->size && w->next >= \old(w->next) + 8 + w->length; */
static bool next_extension(ExtensionWalk *w)
{
    uint64_t payload = w->next + sizeof(Qcow2DiskExtension);

    if (w->next >= w->end) {
        return false;
    }
    if (payload > w->end) {
        w->malformed = true;
        return false;
    }
    if (payload > w->size) {
        w->more = true;
        return false;
    }
    w->type = load_be32(w->bytes + w->next);
    w->length = load_be32(w->bytes + w->next + 4);
    if (w->length > w->end - payload) {
        w->malformed = true;
        return false;
    }
    if (w->type == QCOW2_EXT_END) {
        return false;
    }
    if (payload + w->length > w->size) {
        w->more = true;
        return false;
    }
    w->payload = w->bytes + payload;
    w->next = payload + ((uint64_t)w->length + 7) / 8 * 8;
    return true;
}

/*@ requires \valid_read(h) && h->backing_file_offset <= MAX_CLUSTER && h->cluster_size <= MAX_CLUSTER;
    requires \valid(at) && \valid(record) && \valid_read(bytes + (0 .. size - 1));
    requires \separated(at, record, h, bytes + (0 .. size - 1));
    assigns *at, *record;
    ensures \result ==> \old(*at) + 8 <= *at && \old(*at) < MAX_CLUSTER; */
bool qcow2_next_extension(const uint8_t *bytes, size_t size, const Qcow2HeaderFields *h, uint64_t *at,
                          Qcow2ExtensionRecord *record)
{
    ExtensionWalk walk = extension_walk(bytes, size, h);

    walk.next = *at > walk.next ? *at : walk.next;
    if (!next_extension(&walk)) {
        return false;
    }
    *record = (Qcow2ExtensionRecord){
        .type = walk.type,
        .length = walk.length,
        .payload = walk.payload - bytes,
    };
    *at = walk.next;
    return true;
}

/* docs/interop/check-behaviour.rst 2.2, tests 2 to 8: enough to know where the header ends. */
static Qcow2HeaderFault check_dimensions(const Qcow2HeaderFields *h, uint32_t magic)
{
    if (magic != QCOW2_MAGIC) {
        return QCOW2_HEADER_NOT_QCOW2;
    }
    if (h->version < 2 || h->version > 3) {
        return QCOW2_HEADER_VERSION;
    }
    if (h->cluster_bits < QCOW2_MIN_CLUSTER_BITS || h->cluster_bits > QCOW2_MAX_CLUSTER_BITS) {
        return QCOW2_HEADER_CLUSTER_BITS;
    }
    if (h->version >= 3 && h->header_length < QCOW2_V3_MIN_HEADER_LENGTH) {
        return QCOW2_HEADER_TOO_SHORT;
    }
    if (h->header_length > (UINT32_C(1) << h->cluster_bits)) {
        return QCOW2_HEADER_TOO_LONG;
    }
    if (h->backing_file_offset > (UINT64_C(1) << h->cluster_bits)) {
        return QCOW2_HEADER_BACKING_OFFSET;
    }
    return QCOW2_HEADER_SOUND;
}

/* Tests 9 to 14. */
static Qcow2HeaderFault check_features(const uint8_t *bytes, const Qcow2HeaderFields *h)
{
    bool has_type = h->header_length > offsetof(Qcow2DiskHeader, compression_type);
    unsigned type = has_type ? bytes[offsetof(Qcow2DiskHeader, compression_type)] : QCOW2_COMPRESSION_ZLIB;
    bool type_bit = h->incompatible_features & QCOW2_INCOMPAT_COMPRESSION;

    if (type != QCOW2_COMPRESSION_ZLIB && type != QCOW2_COMPRESSION_ZSTD) {
        return QCOW2_HEADER_COMPRESSION_TYPE;
    }
    if (type_bit != (type != QCOW2_COMPRESSION_ZLIB)) {
        return QCOW2_HEADER_COMPRESSION_BIT;
    }
    if (h->incompatible_features & ~QCOW2_INCOMPAT_KNOWN) {
        return QCOW2_HEADER_UNKNOWN_FEATURES;
    }
    if (qcow2_has_extended_l2(h) && h->cluster_size / QCOW2_SUBCLUSTERS < QCOW2_MIN_SUBCLUSTER_SIZE) {
        return QCOW2_HEADER_SUBCLUSTER_SIZE;
    }
    if (h->refcount_order > QCOW2_MAX_REFCOUNT_ORDER) {
        return QCOW2_HEADER_REFCOUNT_ORDER;
    }
    return QCOW2_HEADER_SOUND;
}

/* Tests 15 to 20. */
static Qcow2HeaderFault check_tables(const Qcow2HeaderFields *h)
{
    uint64_t l1_reach = UINT64_C(1) << (h->cluster_bits + h->l2_bits); /* guest bytes behind one L1 entry */
    uint64_t l1_needed = (h->size + l1_reach - 1) / l1_reach;          /* wraps as the stock tool's does: test 30 */

    if (h->refcount_table_clusters > QCOW2_MAX_REFTABLE_BYTES >> h->cluster_bits) {
        return QCOW2_HEADER_REFCOUNT_TABLE_SIZE;
    }
    if (!table_range_valid(h->refcount_table_offset, (uint64_t)h->refcount_table_clusters << h->cluster_bits,
                           h->cluster_size)) {
        return QCOW2_HEADER_REFCOUNT_TABLE_OFFSET;
    }
    if (h->l1_size > QCOW2_MAX_L1_ENTRIES) {
        return QCOW2_HEADER_L1_SIZE;
    }
    if (!table_range_valid(h->l1_table_offset, UINT64_C(8) * h->l1_size, h->cluster_size)) {
        return QCOW2_HEADER_L1_OFFSET;
    }
    if (l1_needed > INT32_MAX) {
        return QCOW2_HEADER_IMAGE_SIZE;
    }
    if (h->l1_size < l1_needed) {
        return QCOW2_HEADER_L1_TOO_SMALL;
    }
    return QCOW2_HEADER_SOUND;
}

Qcow2HeaderFault qcow2_decode_header(const uint8_t *bytes, size_t size, Qcow2HeaderFields *h)
{
    Qcow2HeaderFault fault;

    assert(size >= sizeof(Qcow2DiskHeader));
    load_fields(bytes, h);
    fault = check_dimensions(h, load_be32(bytes));
    if (fault) {
        return fault;
    }
    h->cluster_size = UINT64_C(1) << h->cluster_bits;
    h->l2_bits = h->cluster_bits - (qcow2_has_extended_l2(h) ? 4 : 3);
    fault = check_features(bytes, h);
    return fault ? fault : check_tables(h);
}

/*@ predicate is_payload(ExtensionWalk *w) = \valid_read(w) && \valid_read(w->payload + (0 .. w->length - 1)); */

/*@ requires is_payload(w);
    requires \valid_read(h) && h->cluster_size > 0;
    requires \valid(e) && \separated(e, w, h);
    assigns *e; */
static Qcow2ExtensionFault decode_crypt_header(const ExtensionWalk *w, const Qcow2HeaderFields *h, Qcow2Extensions *e)
{
    if (h->crypt_method != QCOW2_CRYPT_LUKS) {
        return QCOW2_EXTENSION_CRYPT_WITHOUT_LUKS;
    }
    if (w->length != sizeof(Qcow2DiskCryptExtension)) {
        return QCOW2_EXTENSION_CRYPT_LENGTH;
    }
    e->has_crypt_header = true;
    e->crypt_header_offset = load_be64(w->payload + offsetof(Qcow2DiskCryptExtension, offset));
    e->crypt_header_length = load_be64(w->payload + offsetof(Qcow2DiskCryptExtension, length));
    e->crypt_header_entry = w->payload - w->bytes + offsetof(Qcow2DiskCryptExtension, offset);
    if (e->crypt_header_offset % h->cluster_size) {
        return QCOW2_EXTENSION_CRYPT_OFFSET;
    }
    return QCOW2_EXTENSION_SOUND;
}

/*@ requires is_payload(w);
    requires \valid_read(h) && h->cluster_size > 0;
    requires \valid(e) && \separated(e, w, h);
    assigns *e; */
static Qcow2ExtensionFault decode_bitmaps(const ExtensionWalk *w, const Qcow2HeaderFields *h, Qcow2Extensions *e)
{
    const uint8_t *p = w->payload;

    if (w->length != sizeof(Qcow2DiskBitmapsExtension)) {
        return QCOW2_EXTENSION_BITMAPS_LENGTH;
    }
    if (!(h->autoclear_features & QCOW2_AUTOCLEAR_BITMAPS)) {
        e->stale_bitmaps = true;
        return QCOW2_EXTENSION_SOUND;
    }
    e->nb_bitmaps = load_be32(p + offsetof(Qcow2DiskBitmapsExtension, nb_bitmaps));
    e->bitmap_directory_size = load_be64(p + offsetof(Qcow2DiskBitmapsExtension, directory_size));
    e->bitmap_directory_offset = load_be64(p + offsetof(Qcow2DiskBitmapsExtension, directory_offset));
    e->bitmap_directory_entry = p - w->bytes + offsetof(Qcow2DiskBitmapsExtension, directory_offset);
    if (load_be32(p + offsetof(Qcow2DiskBitmapsExtension, reserved))) {
        return QCOW2_EXTENSION_BITMAPS_RESERVED;
    }
    if (e->nb_bitmaps > QCOW2_MAX_BITMAPS) {
        return QCOW2_EXTENSION_BITMAPS_TOO_MANY;
    }
    if (e->nb_bitmaps == 0) {
        return QCOW2_EXTENSION_BITMAPS_NONE;
    }
    if (e->bitmap_directory_offset % h->cluster_size) {
        return QCOW2_EXTENSION_BITMAPS_OFFSET;
    }
    if (e->bitmap_directory_size > QCOW2_MAX_BITMAP_DIRECTORY_BYTES) {
        return QCOW2_EXTENSION_BITMAPS_SIZE;
    }
    e->has_bitmaps = true;
    return QCOW2_EXTENSION_SOUND;
}

/*@ requires is_payload(w);
    requires \valid_read(h) && h->cluster_size > 0;
    requires \valid(e) && \separated(e, w, h);
    assigns *e; */
static Qcow2ExtensionFault decode_extension(const ExtensionWalk *w, const Qcow2HeaderFields *h, Qcow2Extensions *e)
{
    switch (w->type) {
    case QCOW2_EXT_BACKING_FORMAT:
        if (w->length > QCOW2_MAX_BACKING_FORMAT) {
            return QCOW2_EXTENSION_BACKING_FORMAT_LENGTH;
        }
        return QCOW2_EXTENSION_SOUND;
    case QCOW2_EXT_CRYPT_HEADER:
        return decode_crypt_header(w, h, e);
    case QCOW2_EXT_BITMAPS:
        return decode_bitmaps(w, h, e);
    default:
        return QCOW2_EXTENSION_SOUND;
    }
}

/*@ requires \valid_read(h) && h->backing_file_offset <= MAX_CLUSTER && h->cluster_size <= MAX_CLUSTER;
    requires h->cluster_size > 0 && \valid(e) && \valid(more) && \valid(length) && \valid_read(bytes + (0 .. size - 1));
    requires \separated(e, more, length, h, bytes + (0 .. size - 1));
    assigns *e, *more, *length; */
Qcow2ExtensionFault qcow2_decode_extensions(const uint8_t *bytes, size_t size, const Qcow2HeaderFields *h,
                                            Qcow2Extensions *e, bool *more, uint32_t *length)
{
    ExtensionWalk walk = extension_walk(bytes, size, h);

    *e = (Qcow2Extensions){0};
    *more = false;
    /* each record moves the walk by its 8 bytes at least */
    /*@ loop invariant walk.bytes == bytes && walk.size == size && walk.end == \at(walk.end, LoopEntry);
        loop assigns walk, *e;
        loop variant walk.end - walk.next; */
    while (next_extension(&walk)) {
        Qcow2ExtensionFault fault = decode_extension(&walk, h, e);

        if (fault) {
            *length = walk.length;
            return fault;
        }
    }
    *more = walk.more;
    *length = walk.length;
    return walk.malformed ? QCOW2_EXTENSION_TOO_LARGE : QCOW2_EXTENSION_SOUND;
}
