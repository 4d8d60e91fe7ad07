/*
 * The data of a compressed cluster, as --verify-compressed and --explain get it.
 *
 * The first byte chooses the format and the size of a cluster, the rest is the data. The answer is the same a second
 * time, after data of the other format, and with another decompressor. No deflate data is called damaged that zlib
 * reads, and of damage the kind is what zlib says. Memory does not grow with what the data claims.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <zlib.h>

#include "block/decompress.h"
#include "fuzz.h"

#define RAW (-15) /* deflate data without header */

/* What zlib says, which gets as much room as a cluster. */
static DecompressResult inflate_alone(const uint8_t *data, size_t length, size_t size)
{
    g_autofree uint8_t *output = g_malloc(size);
    z_stream stream = {
        .next_in = (uint8_t *)data, .avail_in = (uInt)length, .next_out = output, .avail_out = (uInt)size};
    int end;

    g_assert_cmpint(inflateInit2(&stream, RAW), ==, Z_OK);
    end = inflate(&stream, Z_FINISH);
    inflateEnd(&stream);
    if (stream.avail_out == 0 && (end == Z_STREAM_END || end == Z_BUF_ERROR)) {
        return DECOMPRESS_WHOLE;
    }
    return end == Z_STREAM_END ? DECOMPRESS_SHORT : DECOMPRESS_INVALID;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const DecompressOps *ops = decompress_ops();
    CompressionFormat format, other;
    DecompressResult result;
    Decompressor *first, *second;
    size_t cluster;

    if (size < 2) {
        return 0;
    }
    format = bytes[0] & 1 ? COMPRESSION_ZSTD : COMPRESSION_ZLIB;
    other = bytes[0] & 1 ? COMPRESSION_ZLIB : COMPRESSION_ZSTD;
    cluster = (size_t)512 << (bytes[0] >> 1 & 7);
    limits_begin();
    first = ops->create(cluster);
    second = ops->create(cluster);
    result = ops->decompress(first, format, bytes + 1, size - 1);
    ops->decompress(first, other, bytes + 1, size - 1);
    g_assert_cmpint(ops->decompress(first, format, bytes + 1, size - 1), ==, result);
    g_assert_cmpint(ops->decompress(second, format, bytes + 1, size - 1), ==, result);
    ops->free(first);
    ops->free(second);
    limits_end("decompressing");
    if (format == COMPRESSION_ZLIB) {
        DecompressResult alone = inflate_alone(bytes + 1, size - 1, cluster);

        /* libdeflate may take for whole what zlib does not, but not the other way */
        g_assert_true(alone == result || result == DECOMPRESS_WHOLE);
    }
    return 0;
}
