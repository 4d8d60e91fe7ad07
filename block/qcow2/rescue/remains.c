/*
 * The remains of a header.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/rescue/remains.h"

#include <string.h>

#include "util/number.h"

#define READ_SIZE       65536u /* names and extensions are within that */
#define POSSIBLE_FIELDS 5      /* of the seven that can be judged alone */

static void read_fields(const Qcow2DiskHeader *d, Qcow2Remains *r)
{
    Qcow2HeaderFields *h = &r->header;

    h->version = GUINT32_FROM_BE(d->version);
    h->backing_file_offset = GUINT64_FROM_BE(d->backing_file_offset);
    h->backing_file_size = GUINT32_FROM_BE(d->backing_file_size);
    h->cluster_bits = GUINT32_FROM_BE(d->cluster_bits);
    h->size = GUINT64_FROM_BE(d->size);
    h->crypt_method = GUINT32_FROM_BE(d->crypt_method);
    h->l1_size = GUINT32_FROM_BE(d->l1_size);
    h->l1_table_offset = GUINT64_FROM_BE(d->l1_table_offset);
    h->refcount_table_offset = GUINT64_FROM_BE(d->refcount_table_offset);
    h->refcount_table_clusters = GUINT32_FROM_BE(d->refcount_table_clusters);
    h->nb_snapshots = GUINT32_FROM_BE(d->nb_snapshots);
    h->snapshots_offset = GUINT64_FROM_BE(d->snapshots_offset);
    h->incompatible_features = GUINT64_FROM_BE(d->incompatible_features);
    h->autoclear_features = GUINT64_FROM_BE(d->autoclear_features);
    h->refcount_order = GUINT32_FROM_BE(d->refcount_order);
    h->header_length = GUINT32_FROM_BE(d->header_length);
    r->compression_type = d->compression_type;
}

/* A version 2 header ends before the features; an unknown version is decided by what a longer one would have there. */
static void complete_version(Qcow2HeaderFields *h, uint8_t *compression_type)
{
    bool longer = h->header_length >= QCOW2_V3_MIN_HEADER_LENGTH && h->header_length <= 4096 &&
                  h->header_length % 8 == 0 && h->refcount_order <= QCOW2_MAX_REFCOUNT_ORDER;

    if (h->version == 3 || (h->version != 2 && longer)) {
        if (!longer && (h->header_length < QCOW2_V3_MIN_HEADER_LENGTH || h->header_length > 4096)) {
            h->header_length = sizeof(Qcow2DiskHeader);
        }
        return;
    }
    h->header_length = QCOW2_V2_HEADER_LENGTH;
    h->incompatible_features = 0;
    h->autoclear_features = 0;
    h->refcount_order = 4;
    *compression_type = 0;
}

static bool judge(const Qcow2DiskHeader *d, const Qcow2HeaderFields *h)
{
    unsigned possible = 0;

    possible += GUINT32_FROM_BE(d->magic) == QCOW2_MAGIC;
    possible += h->version == 2 || h->version == 3;
    possible += h->cluster_bits >= QCOW2_MIN_CLUSTER_BITS && h->cluster_bits <= QCOW2_MAX_CLUSTER_BITS;
    possible += h->crypt_method <= QCOW2_CRYPT_LUKS;
    possible += h->l1_table_offset && h->l1_table_offset % QCOW2_SECTOR_SIZE == 0;
    possible += h->refcount_table_offset && h->refcount_table_offset % QCOW2_SECTOR_SIZE == 0;
    possible += h->size && h->size <= INT64_MAX;
    return possible >= POSSIBLE_FIELDS;
}

/* ---- extensions and names ---- */

/* The @size bytes at @from as a string, or NULL if they are none. */
static char *text(const uint8_t *from, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (from[i] < ' ' || from[i] == 0x7f) {
            return NULL;
        }
    }
    return size ? g_strndup((const char *)from, size) : NULL;
}

static void take_bitmaps(Qcow2Remains *r, const uint8_t *payload, uint32_t size)
{
    Qcow2DiskBitmapsExtension d;

    r->bitmaps.has_bitmaps = true;
    if (size == sizeof(d)) {
        memcpy(&d, payload, sizeof(d));
        r->bitmaps.nb_bitmaps = GUINT32_FROM_BE(d.nb_bitmaps);
        r->bitmaps.bitmap_directory_size = GUINT64_FROM_BE(d.directory_size);
        r->bitmaps.bitmap_directory_offset = GUINT64_FROM_BE(d.directory_offset);
    }
}

static void take_extension(Qcow2Remains *r, uint32_t type, const uint8_t *payload, uint32_t size)
{
    switch (type) {
    case QCOW2_EXT_BACKING_FORMAT:
        if (!r->backing_format && size <= QCOW2_MAX_BACKING_FORMAT) {
            r->backing_format = text(payload, size);
        }
        break;
    case QCOW2_EXT_CRYPT_HEADER:
        if (size == sizeof(Qcow2DiskCryptExtension)) {
            r->has_crypt_header = true;
            r->crypt_offset = load_be64(payload);
            r->crypt_length = load_be64(payload + 8);
        }
        break;
    case QCOW2_EXT_DATA_FILE:
        r->has_data_file = true;
        break;
    case QCOW2_EXT_BITMAPS:
        take_bitmaps(r, payload, size);
        break;
    default:
        break;
    }
}

/* Reads the extensions from @at on. Returns where they end, or 0 if that cannot be said. */
static uint64_t read_extensions(Qcow2Remains *r, const uint8_t *bytes, uint64_t at)
{
    while (at + sizeof(Qcow2DiskExtension) <= READ_SIZE) {
        uint32_t type = load_be32(bytes + at), size = load_be32(bytes + at + 4);

        at += sizeof(Qcow2DiskExtension);
        if (type == QCOW2_EXT_END) {
            return at;
        }
        if (size > READ_SIZE - at) {
            return 0;
        }
        take_extension(r, type, bytes + at, size);
        at += (size + UINT64_C(7)) & ~UINT64_C(7);
    }
    return 0;
}

/* The name at @at: as long as the header has it, or up to the next zero byte. */
static char *name_at(const Qcow2HeaderFields *h, const uint8_t *bytes, uint64_t at)
{
    size_t most, zero;

    if (at < QCOW2_V2_HEADER_LENGTH || at >= READ_SIZE) {
        return NULL;
    }
    most = MIN(READ_SIZE - at, QCOW2_MAX_BACKING_NAME);
    zero = strnlen((const char *)bytes + at, most);
    return h->backing_file_size && h->backing_file_size <= zero ? text(bytes + at, h->backing_file_size)
                                                                : text(bytes + at, zero);
}

static void read_backing_name(Qcow2Remains *r, const uint8_t *bytes, uint64_t end)
{
    const Qcow2HeaderFields *h = &r->header;

    if (!h->backing_file_offset && !h->backing_file_size && !r->backing_format) {
        return;
    }
    if (h->backing_file_offset >= end) {
        r->backing_name = name_at(h, bytes, h->backing_file_offset);
    }
    if (!r->backing_name && end) {
        r->backing_name = name_at(h, bytes, end); /* that is where programs put it */
    }
}

void qcow2_read_remains(BlockSource *source, Qcow2Remains *r)
{
    g_autofree uint8_t *bytes = g_malloc0(READ_SIZE);
    Qcow2DiskHeader disk;

    *r = (Qcow2Remains){0};
    if (block_source_read(source, bytes, READ_SIZE, 0)) {
        memset(bytes, 0, READ_SIZE);
    }
    memcpy(&disk, bytes, sizeof(disk));
    read_fields(&disk, r);
    complete_version(&r->header, &r->compression_type);
    r->is_qcow2 = judge(&disk, &r->header);
    if (r->header.cluster_bits >= QCOW2_MIN_CLUSTER_BITS && r->header.cluster_bits < 16) {
        memset(bytes + (1u << r->header.cluster_bits), 0, READ_SIZE - (1u << r->header.cluster_bits));
    }
    if (r->is_qcow2) {
        /* a field of nonsense has other bits, too */
        r->has_data_file =
            qcow2_has_data_file(&r->header) && !(r->header.incompatible_features & ~QCOW2_INCOMPAT_KNOWN);
        read_backing_name(r, bytes, read_extensions(r, bytes, r->header.header_length));
    }
}

void qcow2_remains_clear(Qcow2Remains *r)
{
    g_clear_pointer(&r->backing_name, g_free);
    g_clear_pointer(&r->backing_format, g_free);
}
