/*
 * Opening an image: see reader-image.h. Section numbers are those of docs/interop/check-behaviour.rst.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "reader-image.h"

#include <string.h>

enum {
    BITMAPS_EXTENSION = 0x23852875,
    CRYPT_EXTENSION = 0x0537be77,
    DATA_FILE_EXTENSION = 0x44415441,
};
#define BACKING_FORMAT_EXTENSION 0xe2792acaU

#define MAX_SIGNED          ((uint64_t)INT64_MAX)
#define MAX_TABLE_BYTES     ((uint64_t)8 << 20)
#define MAX_DIRECTORY_BYTES 67107840u
#define MAX_BITMAPS         65535u
#define MAX_BITMAP_BYTES    ((uint64_t)512 << 20)

#define STOCK_MANY_SNAPSHOTS 1000u

bool reader_readable(uint64_t offset, uint64_t size)
{
    uint64_t most = MAX_SIGNED - 511; /* 2^63 - 512 */

    return size == 0 || (offset <= most && size <= most - offset);
}

void reader_get(const ReaderImage *image, uint64_t offset, void *to, uint64_t size)
{
    uint64_t there = 0;

    if (offset < image->length) {
        there = image->length - offset < size ? image->length - offset : size;
        memcpy(to, image->bytes + offset, there);
    }
    memset((uint8_t *)to + there, 0, size - there);
}

static uint64_t get_number(const ReaderImage *image, uint64_t offset, unsigned size)
{
    uint8_t bytes[8];
    uint64_t value = 0;

    reader_get(image, offset, bytes, size);
    for (unsigned i = 0; i < size; i++) {
        value = value << 8 | bytes[i];
    }
    return value;
}

uint64_t reader_get64(const ReaderImage *image, uint64_t offset)
{
    return get_number(image, offset, 8);
}

uint32_t reader_get32(const ReaderImage *image, uint64_t offset)
{
    return (uint32_t)get_number(image, offset, 4);
}

uint32_t reader_get16(const ReaderImage *image, uint64_t offset)
{
    return (uint32_t)get_number(image, offset, 2);
}

uint32_t reader_get8(const ReaderImage *image, uint64_t offset)
{
    return (uint32_t)get_number(image, offset, 1);
}

bool reader_aligned(const ReaderImage *image, uint64_t offset)
{
    return (offset & (image->cluster_size - 1)) == 0;
}

static bool table_fits(const ReaderImage *image, uint64_t offset, uint64_t size)
{
    return reader_aligned(image, offset) && offset <= MAX_SIGNED && size <= MAX_SIGNED - offset;
}

/* ---- 2.2: the header ---- */

static void read_fields(ReaderImage *image)
{
    image->version = reader_get32(image, 4);
    image->backing_offset = reader_get64(image, 8);
    image->backing_size = reader_get32(image, 16);
    image->cluster_bits = reader_get32(image, 20);
    image->size = reader_get64(image, 24);
    image->crypt_method = reader_get32(image, 32);
    image->l1_size = reader_get32(image, 36);
    image->l1_offset = reader_get64(image, 40);
    image->table_offset = reader_get64(image, 48);
    image->table_clusters = reader_get32(image, 56);
    image->n_snapshots = reader_get32(image, 60);
    image->snapshots_offset = reader_get64(image, 64);
    image->order = 4;
    image->header_length = 72;
    if (image->version >= 3) {
        image->incompatible = reader_get64(image, 72);
        image->autoclear = reader_get64(image, 88);
        image->order = reader_get32(image, 96);
        image->header_length = reader_get32(image, 100);
    }
    image->data_file = image->incompatible & 4;
    image->extended = image->incompatible & 16;
}

static const char *refuse_features(const ReaderImage *image)
{
    unsigned type = image->header_length > 104 ? reader_get8(image, 104) : 0;

    if (type > 1) {
        return "qcow2: unknown compression type";
    }
    if (type == 0 && (image->incompatible & 8)) {
        return "qcow2: Compression type incompatible feature bit must not be set";
    }
    if (type != 0 && !(image->incompatible & 8)) {
        return "qcow2: Compression type incompatible feature bit must be set";
    }
    if (image->incompatible & ~UINT64_C(0x1f)) {
        return "Unsupported qcow2 feature(s)";
    }
    if (image->extended && image->cluster_size / 32 < 512) {
        return "Unsupported subcluster size";
    }
    return image->order > 6 ? "Reference count entry width too large" : NULL;
}

static const char *refuse_tables(const ReaderImage *image)
{
    uint64_t table_bytes = image->table_clusters * image->cluster_size;
    uint64_t each = image->cluster_size * (image->cluster_size / (image->extended ? 16 : 8)); /* bytes of an L2 table */
    uint64_t needed = (image->size + each - 1) / each; /* wraps around, as the stock tool's does */

    if (table_bytes > MAX_TABLE_BYTES) {
        return "Reference count table too large";
    }
    if (!table_fits(image, image->table_offset, table_bytes)) {
        return "Reference count table offset invalid";
    }
    if (image->l1_size > READER_MAX_L1_ENTRIES) {
        return "Active L1 table too large";
    }
    if (!table_fits(image, image->l1_offset, image->l1_size * UINT64_C(8))) {
        return "Active L1 table offset invalid";
    }
    if (needed > INT32_MAX) {
        return "Image is too big";
    }
    if (image->l1_size < needed) {
        return "L1 table is too small";
    }
    if (!reader_readable(image->l1_offset, image->l1_size * UINT64_C(8))) {
        return "Could not read L1 table: Input/output error";
    }
    if (image->crypt_method > 2) {
        return "Unsupported encryption method";
    }
    return reader_readable(image->table_offset, table_bytes)
               ? NULL
               : "Could not initialize refcount handling: Input/output error";
}

static const char *refuse_header(ReaderImage *image)
{
    const char *refusal;

    if (reader_get32(image, 0) != 0x514649fb) {
        return "Image is not in qcow2 format";
    }
    read_fields(image);
    if (image->version < 2 || image->version > 3) {
        return "Unsupported qcow2 version";
    }
    if (image->cluster_bits < 9 || image->cluster_bits > 21) {
        return "Unsupported cluster size";
    }
    image->cluster_size = UINT64_C(1) << image->cluster_bits;
    if (image->version >= 3 && image->header_length < 104) {
        return "qcow2 header too short";
    }
    if (image->header_length > image->cluster_size) {
        return "qcow2 header exceeds cluster size";
    }
    if (image->backing_offset > image->cluster_size) {
        return "Invalid backing file offset";
    }
    refusal = refuse_features(image);
    return refusal ? refusal : refuse_tables(image);
}

/* ---- 2.3: header extensions ---- */

static const char *refuse_bitmaps_extension(ReaderImage *image, uint64_t at, uint32_t size, ReaderResult *result)
{
    if (size != 24) {
        return "bitmaps_ext: Invalid extension length";
    }
    if (!(image->autoclear & 1)) {
        result->kinds |= 1u << BITMAPS_STALE;
        return NULL;
    }
    if (reader_get32(image, at + 4) != 0) {
        return "bitmaps_ext: Reserved field is not zero";
    }
    image->n_bitmaps = reader_get32(image, at);
    image->directory_size = reader_get64(image, at + 8);
    image->directory_offset = reader_get64(image, at + 16);
    if (image->n_bitmaps > MAX_BITMAPS) {
        return "bitmaps_ext: Image has";
    }
    if (image->n_bitmaps == 0) {
        return "found bitmaps extension with zero bitmaps";
    }
    if (!reader_aligned(image, image->directory_offset)) {
        return "bitmaps_ext: invalid bitmap directory offset";
    }
    if (image->directory_size > MAX_DIRECTORY_BYTES) {
        return "bitmaps_ext: bitmap directory size";
    }
    image->bitmaps = true;
    return NULL;
}

static const char *refuse_crypt_extension(ReaderImage *image, uint64_t at, uint32_t size, ReaderResult *result)
{
    if (image->crypt_method != 2) {
        return "CRYPTO header extension only expected with LUKS encryption method";
    }
    if (size != 16) {
        return "CRYPTO header extension size";
    }
    image->has_crypt_header = true;
    image->crypt_offset = reader_get64(image, at);
    image->crypt_length = reader_get64(image, at + 8);
    if (!reader_aligned(image, image->crypt_offset)) {
        return "Encryption header offset";
    }
    result->stock_refusal = "a key"; /* before it reads on */
    return NULL;
}

static const char *refuse_extension(ReaderImage *image, uint32_t type, uint64_t at, uint32_t size, ReaderResult *result)
{
    switch (type) {
    case BITMAPS_EXTENSION:
        return refuse_bitmaps_extension(image, at, size, result);
    case CRYPT_EXTENSION:
        return refuse_crypt_extension(image, at, size, result);
    case BACKING_FORMAT_EXTENSION:
        return size >= 16 ? "ERROR: ext_backing_format: len=" : NULL;
    case DATA_FILE_EXTENSION:
        image->has_data_file_name = true;
        return NULL;
    default:
        return NULL;
    }
}

static const char *refuse_extensions(ReaderImage *image, ReaderResult *result)
{
    uint64_t at = image->header_length;
    uint64_t end = image->backing_offset != 0 ? image->backing_offset : image->cluster_size;

    while (at < end) {
        uint32_t type = reader_get32(image, at), size = reader_get32(image, at + 4);
        const char *refusal;

        at += 8;
        if (at > end || size > end - at) {
            return "Header extension too large";
        }
        if (type == 0) {
            return NULL;
        }
        refusal = refuse_extension(image, type, at, size, result);
        if (refusal) {
            return refusal;
        }
        at += (size + UINT64_C(7)) & ~UINT64_C(7);
    }
    return NULL;
}

/* ---- 2.4: bitmaps ---- */

static const char *bitmap_fault(const ReaderImage *image, const ReaderBitmap *bitmap)
{
    uint64_t bytes = bitmap->table_size * image->cluster_size;

    if (bitmap->extra_size != 0) {
        return "Bitmap extra data is not supported";
    }
    if (bitmap->table_offset == 0 || !reader_aligned(image, bitmap->table_offset) || bitmap->table_size == 0 ||
        bitmap->table_size > 0x8000000 || bitmap->granularity < 9 || bitmap->granularity > 31 || bitmap->flags > 3 ||
        bitmap->name_size > 1023 || bitmap->type != 1 || bytes > MAX_BITMAP_BYTES) {
        return "satisfy the constraints";
    }
    if (!(bitmap->flags & 1) && (image->size >> bitmap->granularity) > bytes * 8) {
        return "satisfy the constraints";
    }
    if (!(bitmap->flags & 1) && bytes * 8 << bitmap->granularity < image->size) {
        return "satisfy the constraints";
    }
    return NULL;
}

bool reader_next_bitmap(const ReaderImage *image, uint64_t *at, ReaderBitmap *bitmap)
{
    uint64_t left = image->directory_size - *at, offset = image->directory_offset + *at, size;

    if (left < 24) {
        return false;
    }
    *bitmap = (ReaderBitmap){
        .table_offset = reader_get64(image, offset),
        .table_size = reader_get32(image, offset + 8),
        .flags = reader_get32(image, offset + 12),
        .type = (uint8_t)reader_get8(image, offset + 16),
        .granularity = (uint8_t)reader_get8(image, offset + 17),
        .name_size = (uint16_t)reader_get16(image, offset + 18),
        .extra_size = reader_get32(image, offset + 20),
    };
    size = (24 + (uint64_t)bitmap->extra_size + bitmap->name_size + 7) & ~UINT64_C(7);
    if (size > left) {
        return false;
    }
    bitmap->fault = bitmap_fault(image, bitmap);
    bitmap->has_table = bitmap->table_offset != 0 && reader_aligned(image, bitmap->table_offset) &&
                        bitmap->table_size != 0 && bitmap->table_size <= MAX_BITMAP_BYTES / image->cluster_size;
    *at += size;
    return true;
}

bool reader_bad_bitmap_entry(const ReaderImage *image, uint64_t entry)
{
    uint64_t offset = entry & READER_OFFSET_MASK;

    return (entry & UINT64_C(0xff000000000001fe)) || (offset != 0 && (entry & 1)) || !reader_aligned(image, offset);
}

bool reader_bitmap_fits(const ReaderImage *image, const ReaderBitmap *bitmap)
{
    uint64_t size = image->size & ~UINT64_C(511);
    uint64_t bits = (size + (UINT64_C(1) << bitmap->granularity) - 1) >> bitmap->granularity;
    uint64_t bytes = (bits + 63) / 64 * 8;

    return bitmap->table_size == (bytes + image->cluster_size - 1) / image->cluster_size;
}

static const char *refuse_bitmap(const ReaderImage *image, const ReaderBitmap *bitmap)
{
    if (bitmap->fault || (bitmap->flags & 1)) {
        return bitmap->fault;
    }
    if (!reader_readable(bitmap->table_offset, bitmap->table_size * UINT64_C(8))) {
        return "Could not read bitmap_table table from image for bitmap";
    }
    for (uint64_t i = 0; i < bitmap->table_size; i++) {
        if (reader_bad_bitmap_entry(image, reader_get64(image, bitmap->table_offset + i * 8))) {
            return "Could not read bitmap_table table from image for bitmap";
        }
    }
    return reader_bitmap_fits(image, bitmap) ? NULL : "Could not read bitmap";
}

/* Faults of bitmaps keep the stock tool from opening the image. Two bitmaps with one name are not looked for. */
static const char *refuse_bitmaps(const ReaderImage *image)
{
    const char *table_fault = NULL;
    uint64_t at = 0;
    uint32_t n = 0;

    if (image->directory_size == 0) {
        return "Requested bitmap directory size is zero";
    }
    if (!reader_readable(image->directory_offset, image->directory_size)) {
        return "Failed to read bitmap directory";
    }
    while (at < image->directory_size) {
        ReaderBitmap bitmap;

        if (image->directory_size - at >= 24 && n == image->n_bitmaps) {
            return "More bitmaps found than specified in header extension";
        }
        if (!reader_next_bitmap(image, &at, &bitmap)) {
            return "Broken bitmap directory";
        }
        if (bitmap.fault) {
            return bitmap.fault;
        }
        table_fault = table_fault ? table_fault : refuse_bitmap(image, &bitmap);
        n++;
    }
    return n < image->n_bitmaps ? "Less bitmaps found than specified in header extension" : table_fault;
}

void reader_open(ReaderImage *image, ReaderResult *result)
{
    result->refusal = refuse_header(image);
    result->refusal = result->refusal ? result->refusal : refuse_extensions(image, result);
    if (result->refusal) {
        return;
    }
    result->not_for_stock = image->n_snapshots > STOCK_MANY_SNAPSHOTS && image->n_snapshots <= 65536;
    if (image->data_file) {
        result->stock_refusal = "an external data file";
        result->not_for_stock |= image->has_data_file_name;
    } else if (image->autoclear & 2 && image->version >= 3) {
        result->refusal = "data-file-raw requires a data file";
        return;
    }
    if (image->crypt_method != 0) {
        if (image->crypt_method == 2 && !image->has_crypt_header) {
            result->refusal = "Missing CRYPTO header for crypt method 2";
            return;
        }
        result->stock_refusal = "a key";
    }
    if (image->backing_offset != 0) {
        uint64_t most = image->cluster_size - image->backing_offset;

        if (image->backing_size > (most < 1023 ? most : 1023)) {
            result->refusal = "Backing file name too long";
            return;
        }
        result->not_for_stock |= image->backing_size > 0;
    }
    if (image->bitmaps) {
        const char *fault = refuse_bitmaps(image);

        if (fault) {
            result->stock_refusal = result->stock_refusal ? result->stock_refusal : fault;
            result->kinds |= 1u << BITMAPS_DAMAGED;
        }
    }
    if (image->size / 512 > MAX_SIGNED / 512) {
        if (image->bitmaps && !result->stock_refusal) {
            result->stock_refusal = "satisfy the constraints"; /* also of a bitmap in use */
        }
        result->refusal = "Could not refresh total sector count: File too large";
    }
}
