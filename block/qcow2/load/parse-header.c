/*
 * The qcow2 header and its extensions: messages.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/load/parse-header.h"

#include <errno.h>
#include <string.h>

#include "block/error.h"
#include "block/qcow2/format/format.h"
#include "util/number.h"
#include "util/text.h"

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

static char *unknown_features(const uint8_t *bytes, size_t size, const Qcow2HeaderFields *h)
{
    g_autoptr(GString) list = g_string_new(NULL);
    uint64_t unknown = h->incompatible_features & ~QCOW2_INCOMPAT_KNOWN;
    Qcow2ExtensionRecord record;
    uint64_t at = 0;

    while (qcow2_next_extension(bytes, size, h, &at, &record)) {
        if (record.type == QCOW2_EXT_FEATURE_NAMES) {
            unknown = name_features(bytes + record.payload, record.length, unknown, list);
        }
    }
    if (unknown) {
        g_autofree char *text = g_strdup_printf("Unknown incompatible feature: %" PRIx64, unknown);

        append_feature(list, text);
    }
    return g_strdup_printf("Unsupported qcow2 feature(s): %s", list->str);
}

static char *header_message(Qcow2HeaderFault fault, const uint8_t *bytes, size_t size, const Qcow2HeaderFields *h)
{
    switch (fault) {
    case QCOW2_HEADER_UNKNOWN_FEATURES:
        return unknown_features(bytes, size, h);
    case QCOW2_HEADER_NOT_QCOW2:
        return g_strdup("Image is not in qcow2 format");
    case QCOW2_HEADER_VERSION:
        return g_strdup_printf("Unsupported qcow2 version %" PRIu32, h->version);
    case QCOW2_HEADER_CLUSTER_BITS:
        return g_strdup_printf("Unsupported cluster size: 2^%u", h->cluster_bits);
    case QCOW2_HEADER_TOO_SHORT:
        return g_strdup("qcow2 header too short");
    case QCOW2_HEADER_TOO_LONG:
        return g_strdup("qcow2 header exceeds cluster size");
    case QCOW2_HEADER_BACKING_OFFSET:
        return g_strdup("Invalid backing file offset");
    case QCOW2_HEADER_COMPRESSION_TYPE:
        return g_strdup_printf("qcow2: unknown compression type: %u",
                               bytes[offsetof(Qcow2DiskHeader, compression_type)]);
    case QCOW2_HEADER_COMPRESSION_BIT:
        return g_strdup_printf("qcow2: Compression type incompatible feature bit must%s be set",
                               h->incompatible_features & QCOW2_INCOMPAT_COMPRESSION ? " not" : "");
    case QCOW2_HEADER_SUBCLUSTER_SIZE:
        return g_strdup_printf("Unsupported subcluster size: %" PRIu64, h->cluster_size / QCOW2_SUBCLUSTERS);
    case QCOW2_HEADER_REFCOUNT_ORDER:
        return g_strdup("Reference count entry width too large; may not exceed 64 bits");
    case QCOW2_HEADER_REFCOUNT_TABLE_SIZE:
        return g_strdup("Reference count table too large");
    case QCOW2_HEADER_REFCOUNT_TABLE_OFFSET:
        return g_strdup("Reference count table offset invalid");
    case QCOW2_HEADER_L1_SIZE:
        return g_strdup("Active L1 table too large");
    case QCOW2_HEADER_L1_OFFSET:
        return g_strdup("Active L1 table offset invalid");
    case QCOW2_HEADER_IMAGE_SIZE:
        return g_strdup("Image is too big");
    case QCOW2_HEADER_L1_TOO_SMALL:
        return g_strdup("L1 table is too small");
    case QCOW2_HEADER_SOUND:
        break;
    }
    g_assert_not_reached();
}

bool qcow2_parse_header(const uint8_t *bytes, size_t size, Qcow2HeaderFields *h, GError **errp)
{
    Qcow2HeaderFault fault = qcow2_decode_header(bytes, size, h);

    if (fault) {
        g_autofree char *message = header_message(fault, bytes, size, h);

        g_set_error_literal(errp, BLOCK_ERROR, EINVAL, message);
    }
    return !fault;
}

static char *extension_message(Qcow2ExtensionFault fault, uint32_t length, const Qcow2HeaderFields *h,
                               const Qcow2Extensions *e)
{
    switch (fault) {
    case QCOW2_EXTENSION_BACKING_FORMAT_LENGTH:
        return g_strdup_printf("ERROR: ext_backing_format: len=%" PRIu32 " too large (>=%d)", length,
                               QCOW2_MAX_BACKING_FORMAT + 1);
    case QCOW2_EXTENSION_CRYPT_WITHOUT_LUKS:
        return g_strdup("CRYPTO header extension only expected with LUKS encryption method");
    case QCOW2_EXTENSION_CRYPT_LENGTH:
        return g_strdup_printf("CRYPTO header extension size %" PRIu32 ", but expected size %zu", length,
                               sizeof(Qcow2DiskCryptExtension));
    case QCOW2_EXTENSION_CRYPT_OFFSET:
        return g_strdup_printf("Encryption header offset '%" PRIu64 "' is not a multiple of cluster size '%" PRIu64 "'",
                               e->crypt_header_offset, h->cluster_size);
    case QCOW2_EXTENSION_BITMAPS_LENGTH:
        return g_strdup("bitmaps_ext: Invalid extension length");
    case QCOW2_EXTENSION_BITMAPS_RESERVED:
        return g_strdup("bitmaps_ext: Reserved field is not zero");
    case QCOW2_EXTENSION_BITMAPS_TOO_MANY:
        return g_strdup_printf("bitmaps_ext: Image has %" PRIu32 " bitmaps, exceeding the QEMU supported maximum of %d",
                               e->nb_bitmaps, QCOW2_MAX_BITMAPS);
    case QCOW2_EXTENSION_BITMAPS_NONE:
        return g_strdup("found bitmaps extension with zero bitmaps");
    case QCOW2_EXTENSION_BITMAPS_OFFSET:
        return g_strdup("bitmaps_ext: invalid bitmap directory offset");
    case QCOW2_EXTENSION_BITMAPS_SIZE:
        return g_strdup_printf("bitmaps_ext: bitmap directory size (%" PRIu64
                               ") exceeds the maximum supported size (%" PRIu64 ")",
                               e->bitmap_directory_size, QCOW2_MAX_BITMAP_DIRECTORY_BYTES);
    case QCOW2_EXTENSION_TOO_LARGE:
        return g_strdup("Header extension too large");
    case QCOW2_EXTENSION_SOUND:
        break;
    }
    g_assert_not_reached();
}

bool qcow2_parse_extensions(const uint8_t *bytes, size_t size, const Qcow2HeaderFields *h, Qcow2Extensions *e,
                            bool *more, GError **errp)
{
    uint32_t length;
    Qcow2ExtensionFault fault = qcow2_decode_extensions(bytes, size, h, e, more, &length);

    if (fault) {
        g_autofree char *message = extension_message(fault, length, h, e);

        g_set_error_literal(errp, BLOCK_ERROR, EINVAL, message);
    }
    return !fault;
}
