/*
 * The qcow2 header and its extensions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/format/header.h"

#include <errno.h>

#include "block/error.h"
#include "block/qcow2/format/format.h"
#include "util/number.h"
#include "util/text.h"

#define REFUSE(errp, ...) (g_set_error(errp, BLOCK_ERROR, EINVAL, __VA_ARGS__), false)

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
        .version = GUINT32_FROM_BE(d.version),
        .crypt_method = GUINT32_FROM_BE(d.crypt_method),
        .cluster_bits = GUINT32_FROM_BE(d.cluster_bits),
        .refcount_order = 4,
        .size = GUINT64_FROM_BE(d.size),
        .l1_table_offset = GUINT64_FROM_BE(d.l1_table_offset),
        .l1_size = GUINT32_FROM_BE(d.l1_size),
        .refcount_table_offset = GUINT64_FROM_BE(d.refcount_table_offset),
        .refcount_table_clusters = GUINT32_FROM_BE(d.refcount_table_clusters),
        .snapshots_offset = GUINT64_FROM_BE(d.snapshots_offset),
        .nb_snapshots = GUINT32_FROM_BE(d.nb_snapshots),
        .backing_file_offset = GUINT64_FROM_BE(d.backing_file_offset),
        .backing_file_size = GUINT32_FROM_BE(d.backing_file_size),
        .header_length = QCOW2_V2_HEADER_LENGTH,
    };
    if (h->version >= 3) {
        h->refcount_order = GUINT32_FROM_BE(d.refcount_order);
        h->header_length = GUINT32_FROM_BE(d.header_length);
        h->incompatible_features = GUINT64_FROM_BE(d.incompatible_features);
        h->autoclear_features = GUINT64_FROM_BE(d.autoclear_features);
    }
}

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

static ExtensionWalk extension_walk(const uint8_t *bytes, size_t size, const Qcow2HeaderFields *h)
{
    return (ExtensionWalk){
        .bytes = bytes,
        .size = size,
        .next = h->header_length,
        .end = h->backing_file_offset ? h->backing_file_offset : h->cluster_size,
    };
}

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

bool qcow2_next_extension(const uint8_t *bytes, size_t size, const Qcow2HeaderFields *h, uint64_t *at,
                          Qcow2ExtensionRecord *record)
{
    ExtensionWalk walk = extension_walk(bytes, size, h);

    walk.next = MAX(walk.next, *at);
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

static void append_feature(GString *list, const char *text)
{
    if (list->len) {
        g_string_append(list, ", ");
    }
    g_string_append(list, text);
}

/*
 * Appends the names that one feature-name extension has for the bits of @unknown; returns the bits that it has none
 * for. A record without a name ends the table for the stock tool, and one that is cut short counts.
 */
static uint64_t name_features(const uint8_t *table, size_t length, uint64_t unknown, GString *list)
{
    for (size_t at = 0; at < length; at += sizeof(Qcow2DiskFeatureName)) {
        Qcow2DiskFeatureName f = {0};

        memcpy(&f, table + at, MIN(sizeof(f), length - at));
        if (!f.name[0]) {
            break;
        }
        if (f.kind == 0 && f.bit < 64 && (unknown >> f.bit & 1)) {
            g_autofree char *name = text_escape(f.name, strnlen(f.name, sizeof(f.name)));

            append_feature(list, name);
            unknown &= ~(UINT64_C(1) << f.bit);
        }
    }
    return unknown;
}

static bool refuse_unknown_features(const uint8_t *bytes, size_t size, const Qcow2HeaderFields *h, GError **errp)
{
    g_autoptr(GString) list = g_string_new(NULL);
    uint64_t unknown = h->incompatible_features & ~QCOW2_INCOMPAT_KNOWN;
    ExtensionWalk walk = extension_walk(bytes, size, h);

    while (next_extension(&walk)) {
        if (walk.type == QCOW2_EXT_FEATURE_NAMES) {
            unknown = name_features(walk.payload, walk.length, unknown, list);
        }
    }
    if (unknown) {
        g_autofree char *text = g_strdup_printf("Unknown incompatible feature: %" PRIx64, unknown);

        append_feature(list, text);
    }
    return REFUSE(errp, "Unsupported qcow2 feature(s): %s", list->str);
}

/* docs/interop/check-behaviour.rst 2.2, tests 2 to 8: enough to know where the header ends. */
static bool check_dimensions(const Qcow2HeaderFields *h, uint32_t magic, GError **errp)
{
    if (magic != QCOW2_MAGIC) {
        return REFUSE(errp, "Image is not in qcow2 format");
    }
    if (h->version < 2 || h->version > 3) {
        return REFUSE(errp, "Unsupported qcow2 version %" PRIu32, h->version);
    }
    if (h->cluster_bits < QCOW2_MIN_CLUSTER_BITS || h->cluster_bits > QCOW2_MAX_CLUSTER_BITS) {
        return REFUSE(errp, "Unsupported cluster size: 2^%u", h->cluster_bits);
    }
    if (h->version >= 3 && h->header_length < QCOW2_V3_MIN_HEADER_LENGTH) {
        return REFUSE(errp, "qcow2 header too short");
    }
    if (h->header_length > (UINT32_C(1) << h->cluster_bits)) {
        return REFUSE(errp, "qcow2 header exceeds cluster size");
    }
    if (h->backing_file_offset > (UINT64_C(1) << h->cluster_bits)) {
        return REFUSE(errp, "Invalid backing file offset");
    }
    return true;
}

/* Tests 9 to 14. */
static bool check_features(const uint8_t *bytes, size_t size, const Qcow2HeaderFields *h, GError **errp)
{
    bool has_type = h->header_length > offsetof(Qcow2DiskHeader, compression_type);
    unsigned type = has_type ? bytes[offsetof(Qcow2DiskHeader, compression_type)] : QCOW2_COMPRESSION_ZLIB;
    bool type_bit = h->incompatible_features & QCOW2_INCOMPAT_COMPRESSION;

    if (type != QCOW2_COMPRESSION_ZLIB && type != QCOW2_COMPRESSION_ZSTD) {
        return REFUSE(errp, "qcow2: unknown compression type: %u", type);
    }
    if (type_bit != (type != QCOW2_COMPRESSION_ZLIB)) {
        return REFUSE(errp, "qcow2: Compression type incompatible feature bit must%s be set", type_bit ? " not" : "");
    }
    if (h->incompatible_features & ~QCOW2_INCOMPAT_KNOWN) {
        return refuse_unknown_features(bytes, size, h, errp);
    }
    if (qcow2_has_extended_l2(h) && h->cluster_size / QCOW2_SUBCLUSTERS < QCOW2_MIN_SUBCLUSTER_SIZE) {
        return REFUSE(errp, "Unsupported subcluster size: %" PRIu64, h->cluster_size / QCOW2_SUBCLUSTERS);
    }
    if (h->refcount_order > QCOW2_MAX_REFCOUNT_ORDER) {
        return REFUSE(errp, "Reference count entry width too large; may not exceed 64 bits");
    }
    return true;
}

/* Tests 15 to 20. */
static bool check_tables(const Qcow2HeaderFields *h, GError **errp)
{
    uint64_t l1_reach = UINT64_C(1) << (h->cluster_bits + h->l2_bits); /* guest bytes behind one L1 entry */
    uint64_t l1_needed = (h->size + l1_reach - 1) / l1_reach;          /* wraps as the stock tool's does: test 30 */

    if (h->refcount_table_clusters > QCOW2_MAX_REFTABLE_BYTES >> h->cluster_bits) {
        return REFUSE(errp, "Reference count table too large");
    }
    if (!table_range_valid(h->refcount_table_offset, (uint64_t)h->refcount_table_clusters << h->cluster_bits,
                           h->cluster_size)) {
        return REFUSE(errp, "Reference count table offset invalid");
    }
    if (h->l1_size > QCOW2_MAX_L1_ENTRIES) {
        return REFUSE(errp, "Active L1 table too large");
    }
    if (!table_range_valid(h->l1_table_offset, UINT64_C(8) * h->l1_size, h->cluster_size)) {
        return REFUSE(errp, "Active L1 table offset invalid");
    }
    if (l1_needed > INT32_MAX) {
        return REFUSE(errp, "Image is too big");
    }
    if (h->l1_size < l1_needed) {
        return REFUSE(errp, "L1 table is too small");
    }
    return true;
}

bool qcow2_parse_header(const uint8_t *bytes, size_t size, Qcow2HeaderFields *h, GError **errp)
{
    g_assert(size >= sizeof(Qcow2DiskHeader));
    load_fields(bytes, h);
    if (!check_dimensions(h, load_be32(bytes), errp)) {
        return false;
    }
    h->cluster_size = UINT64_C(1) << h->cluster_bits;
    h->l2_bits = h->cluster_bits - (qcow2_has_extended_l2(h) ? 4 : 3);
    return check_features(bytes, size, h, errp) && check_tables(h, errp);
}

static bool parse_crypt_header(const ExtensionWalk *w, const Qcow2HeaderFields *h, Qcow2Extensions *e, GError **errp)
{
    if (h->crypt_method != QCOW2_CRYPT_LUKS) {
        return REFUSE(errp, "CRYPTO header extension only expected with LUKS encryption method");
    }
    if (w->length != sizeof(Qcow2DiskCryptExtension)) {
        return REFUSE(errp, "CRYPTO header extension size %" PRIu32 ", but expected size %zu", w->length,
                      sizeof(Qcow2DiskCryptExtension));
    }
    e->has_crypt_header = true;
    e->crypt_header_offset = load_be64(w->payload + offsetof(Qcow2DiskCryptExtension, offset));
    e->crypt_header_length = load_be64(w->payload + offsetof(Qcow2DiskCryptExtension, length));
    e->crypt_header_entry = w->payload - w->bytes + offsetof(Qcow2DiskCryptExtension, offset);
    if (e->crypt_header_offset % h->cluster_size) {
        return REFUSE(errp, "Encryption header offset '%" PRIu64 "' is not a multiple of cluster size '%" PRIu64 "'",
                      e->crypt_header_offset, h->cluster_size);
    }
    return true;
}

static bool parse_bitmaps(const ExtensionWalk *w, const Qcow2HeaderFields *h, Qcow2Extensions *e, GError **errp)
{
    const uint8_t *p = w->payload;

    if (w->length != sizeof(Qcow2DiskBitmapsExtension)) {
        return REFUSE(errp, "bitmaps_ext: Invalid extension length");
    }
    if (!(h->autoclear_features & QCOW2_AUTOCLEAR_BITMAPS)) {
        e->stale_bitmaps = true;
        return true;
    }
    e->nb_bitmaps = load_be32(p + offsetof(Qcow2DiskBitmapsExtension, nb_bitmaps));
    e->bitmap_directory_size = load_be64(p + offsetof(Qcow2DiskBitmapsExtension, directory_size));
    e->bitmap_directory_offset = load_be64(p + offsetof(Qcow2DiskBitmapsExtension, directory_offset));
    e->bitmap_directory_entry = p - w->bytes + offsetof(Qcow2DiskBitmapsExtension, directory_offset);
    if (load_be32(p + offsetof(Qcow2DiskBitmapsExtension, reserved))) {
        return REFUSE(errp, "bitmaps_ext: Reserved field is not zero");
    }
    if (e->nb_bitmaps > QCOW2_MAX_BITMAPS) {
        return REFUSE(errp, "bitmaps_ext: Image has %" PRIu32 " bitmaps, exceeding the QEMU supported maximum of %d",
                      e->nb_bitmaps, QCOW2_MAX_BITMAPS);
    }
    if (e->nb_bitmaps == 0) {
        return REFUSE(errp, "found bitmaps extension with zero bitmaps");
    }
    if (e->bitmap_directory_offset % h->cluster_size) {
        return REFUSE(errp, "bitmaps_ext: invalid bitmap directory offset");
    }
    if (e->bitmap_directory_size > QCOW2_MAX_BITMAP_DIRECTORY_BYTES) {
        return REFUSE(
            errp, "bitmaps_ext: bitmap directory size (%" PRIu64 ") exceeds the maximum supported size (%" PRIu64 ")",
            e->bitmap_directory_size, QCOW2_MAX_BITMAP_DIRECTORY_BYTES);
    }
    e->has_bitmaps = true;
    return true;
}

static bool parse_extension(const ExtensionWalk *w, const Qcow2HeaderFields *h, Qcow2Extensions *e, GError **errp)
{
    switch (w->type) {
    case QCOW2_EXT_BACKING_FORMAT:
        if (w->length > QCOW2_MAX_BACKING_FORMAT) {
            return REFUSE(errp, "ERROR: ext_backing_format: len=%" PRIu32 " too large (>=%d)", w->length,
                          QCOW2_MAX_BACKING_FORMAT + 1);
        }
        return true;
    case QCOW2_EXT_CRYPT_HEADER:
        return parse_crypt_header(w, h, e, errp);
    case QCOW2_EXT_BITMAPS:
        return parse_bitmaps(w, h, e, errp);
    default:
        return true;
    }
}

bool qcow2_parse_extensions(const uint8_t *bytes, size_t size, const Qcow2HeaderFields *h, Qcow2Extensions *e,
                            bool *more, GError **errp)
{
    ExtensionWalk walk = extension_walk(bytes, size, h);

    *e = (Qcow2Extensions){0};
    while (next_extension(&walk)) {
        if (!parse_extension(&walk, h, e, errp)) {
            *more = false;
            return false;
        }
    }
    *more = walk.more;
    if (walk.malformed) {
        return REFUSE(errp, "Header extension too large");
    }
    return true;
}
