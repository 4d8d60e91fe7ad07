/*
 * Decompressing the data of compressed clusters: what the stock tool reads is read, and nothing else is.
 *
 * Deflate data is made by libdeflate, or written down bit by bit; zstd frames are made by libzstd.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/decompress.h"

#include <glib.h>
#include <libdeflate.h>
#include <stdbool.h>
#include <string.h>
#include <zstd.h>

#define SIZE 65536u

static uint8_t content[2 * SIZE];

/* Text of which each part can be told from the others. */
static void make_content(void)
{
    size_t used = 0;

    for (unsigned i = 0; used < sizeof(content); i++) {
        g_autofree char *line = g_strdup_printf("%u line %u\n", i, i * i);
        size_t length = MIN(strlen(line), sizeof(content) - used);

        memcpy(content + used, line, length);
        used += length;
    }
}

static GByteArray *deflated(size_t size)
{
    struct libdeflate_compressor *c = libdeflate_alloc_compressor(6);
    GByteArray *data = g_byte_array_new();

    g_byte_array_set_size(data, (guint)libdeflate_deflate_compress_bound(c, size));
    g_byte_array_set_size(data, (guint)libdeflate_deflate_compress(c, content, size, data->data, data->len));
    libdeflate_free_compressor(c);
    return data;
}

/* Appends the frame of @size bytes of the content from @start on. */
static void add_frame(GByteArray *data, size_t start, size_t size, bool checksum)
{
    ZSTD_CCtx *c = ZSTD_createCCtx();
    guint at = data->len;

    ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, checksum);
    g_byte_array_set_size(data, at + (guint)ZSTD_compressBound(size));
    g_byte_array_set_size(data, at + (guint)ZSTD_compress2(c, data->data + at, data->len - at, content + start, size));
    ZSTD_freeCCtx(c);
}

static void add_bytes(GByteArray *data, const char *bytes, guint size)
{
    g_byte_array_append(data, (const uint8_t *)bytes, size);
}

static DecompressResult result_of(CompressionFormat format, const GByteArray *data)
{
    const DecompressOps *ops = decompress_ops();
    Decompressor *d = ops->create(SIZE);
    /* of its very length, so that a sanitizer sees what reads behind it */
    g_autofree uint8_t *exact = g_memdup2(data->data, data->len);
    DecompressResult result = ops->decompress(d, format, exact, data->len);

    ops->free(d);
    return result;
}

static void test_whole(void)
{
    g_autoptr(GByteArray) zlib = deflated(SIZE);
    g_autoptr(GByteArray) zstd = g_byte_array_new();

    add_frame(zstd, 0, SIZE, false);
    g_assert_cmpint(result_of(COMPRESSION_ZLIB, zlib), ==, DECOMPRESS_WHOLE);
    g_assert_cmpint(result_of(COMPRESSION_ZSTD, zstd), ==, DECOMPRESS_WHOLE);
}

static void test_bytes_behind(void)
{
    g_autoptr(GByteArray) zlib = deflated(SIZE);
    g_autoptr(GByteArray) zstd = g_byte_array_new();

    add_frame(zstd, 0, SIZE, false);
    add_bytes(zlib, "\xa5\xa5\xa5\xa5\xa5\xa5\xa5\xa5", 8);
    add_bytes(zstd, "\xa5\xa5\xa5\xa5\xa5\xa5\xa5\xa5", 8);
    g_assert_cmpint(result_of(COMPRESSION_ZLIB, zlib), ==, DECOMPRESS_WHOLE);
    g_assert_cmpint(result_of(COMPRESSION_ZSTD, zstd), ==, DECOMPRESS_WHOLE);
}

/* The end of deflate data may be missing once the cluster is there, but nothing of the cluster. */
static void test_end_missing(void)
{
    g_autoptr(GByteArray) stored = g_byte_array_new();

    /* a block of 65535 bytes, then one with the last byte and one more, which is missing */
    add_bytes(stored, "\0\xff\xff\0\0", 5);
    g_byte_array_append(stored, content, SIZE - 1);
    add_bytes(stored, "\x01\x02\x00\xfd\xff", 5);
    g_assert_cmpint(result_of(COMPRESSION_ZLIB, stored), ==, DECOMPRESS_INVALID);
    add_bytes(stored, "x", 1);
    g_assert_cmpint(result_of(COMPRESSION_ZLIB, stored), ==, DECOMPRESS_WHOLE);
}

/* As the stock tool: the rest of deflate data is not looked at, a frame has to end where the cluster does. */
static void test_longer(void)
{
    g_autoptr(GByteArray) zlib = deflated(SIZE + 1000);
    g_autoptr(GByteArray) zstd = g_byte_array_new();

    add_frame(zstd, 0, SIZE + 1000, false);
    g_assert_cmpint(result_of(COMPRESSION_ZLIB, zlib), ==, DECOMPRESS_WHOLE);
    g_assert_cmpint(result_of(COMPRESSION_ZSTD, zstd), ==, DECOMPRESS_INVALID);
}

static void test_shorter(void)
{
    g_autoptr(GByteArray) zlib = deflated(SIZE - 1);
    g_autoptr(GByteArray) zstd = g_byte_array_new();
    g_autoptr(GByteArray) none = g_byte_array_new();

    add_frame(zstd, 0, SIZE - 1, false);
    g_assert_cmpint(result_of(COMPRESSION_ZLIB, zlib), ==, DECOMPRESS_SHORT);
    g_assert_cmpint(result_of(COMPRESSION_ZSTD, zstd), ==, DECOMPRESS_SHORT);
    add_bytes(zstd, "\0\0\0\0\0\0\0\0\0\0\0\0", 12);
    g_assert_cmpint(result_of(COMPRESSION_ZSTD, zstd), ==, DECOMPRESS_SHORT);
    g_assert_cmpint(result_of(COMPRESSION_ZLIB, none), ==, DECOMPRESS_INVALID);
    g_assert_cmpint(result_of(COMPRESSION_ZSTD, none), ==, DECOMPRESS_SHORT);
}

static void test_cut(void)
{
    g_autoptr(GByteArray) zlib = deflated(SIZE);
    g_autoptr(GByteArray) zstd = g_byte_array_new();

    add_frame(zstd, 0, SIZE, false);
    for (guint left = 16; left < zlib->len; left += zlib->len / 50) {
        g_autoptr(GByteArray) part = g_byte_array_new();

        g_byte_array_append(part, zlib->data, left);
        g_assert_cmpint(result_of(COMPRESSION_ZLIB, part), !=, DECOMPRESS_WHOLE);
    }
    for (guint left = 0; left < zstd->len; left += zstd->len / 50) {
        g_autoptr(GByteArray) part = g_byte_array_new();

        g_byte_array_append(part, zstd->data, left);
        g_assert_cmpint(result_of(COMPRESSION_ZSTD, part), !=, DECOMPRESS_WHOLE);
    }
}

static void test_other_format(void)
{
    g_autoptr(GByteArray) zlib = deflated(SIZE);
    g_autoptr(GByteArray) zstd = g_byte_array_new();

    add_frame(zstd, 0, SIZE, false);
    g_assert_cmpint(result_of(COMPRESSION_ZSTD, zlib), ==, DECOMPRESS_INVALID);
    g_assert_cmpint(result_of(COMPRESSION_ZLIB, zstd), ==, DECOMPRESS_INVALID);
}

static void test_zeros(void)
{
    g_autoptr(GByteArray) zeros = g_byte_array_new();

    g_byte_array_set_size(zeros, 512);
    memset(zeros->data, 0, zeros->len);
    g_assert_cmpint(result_of(COMPRESSION_ZLIB, zeros), ==, DECOMPRESS_INVALID);
    g_assert_cmpint(result_of(COMPRESSION_ZSTD, zeros), ==, DECOMPRESS_INVALID);
}

static void test_frames(void)
{
    static const char skippable[] = "\x50\x2a\x4d\x18\x07\0\0\0ignored";
    g_autoptr(GByteArray) zstd = g_byte_array_new();

    add_bytes(zstd, skippable, sizeof(skippable) - 1);
    add_frame(zstd, 0, 30000, false);
    add_frame(zstd, 30000, 0, false);
    add_frame(zstd, 30000, SIZE - 30000, true);
    g_assert_cmpint(result_of(COMPRESSION_ZSTD, zstd), ==, DECOMPRESS_WHOLE);
}

static void test_checksum(void)
{
    g_autoptr(GByteArray) zstd = g_byte_array_new();

    add_frame(zstd, 0, SIZE, true);
    g_assert_cmpint(result_of(COMPRESSION_ZSTD, zstd), ==, DECOMPRESS_WHOLE);
    zstd->data[zstd->len - 1] ^= 1;
    g_assert_cmpint(result_of(COMPRESSION_ZSTD, zstd), ==, DECOMPRESS_INVALID);
}

/* A raw block of the content, in a frame whose header names a window of 1 KiB << @log. */
static DecompressResult result_with_window(unsigned log, unsigned eighths)
{
    g_autoptr(GByteArray) zstd = g_byte_array_new();
    const uint32_t block = SIZE << 3 | 1; /* raw, the last */
    const uint8_t header[] = {0x28,
                              0xb5,
                              0x2f,
                              0xfd,
                              0,
                              (uint8_t)(log << 3 | eighths),
                              (uint8_t)block,
                              (uint8_t)(block >> 8),
                              (uint8_t)(block >> 16)};

    g_byte_array_append(zstd, header, sizeof(header));
    g_byte_array_append(zstd, content, SIZE);
    return result_of(COMPRESSION_ZSTD, zstd);
}

/* The numbers were found by experiment with the stock tool: 2^27 is read, 2^28 is not. */
static void test_window(void)
{
    g_assert_cmpint(result_with_window(6, 0), ==, DECOMPRESS_WHOLE);
    g_assert_cmpint(result_with_window(17, 0), ==, DECOMPRESS_WHOLE);
    g_assert_cmpint(result_with_window(17, 1), ==, DECOMPRESS_INVALID);
    g_assert_cmpint(result_with_window(18, 0), ==, DECOMPRESS_INVALID);
    g_assert_cmpint(result_with_window(31, 7), ==, DECOMPRESS_INVALID);
}

/* Deflate has blocks of bytes as they are: their length is a claim. */
static void test_stored_block(void)
{
    g_autoptr(GByteArray) zlib = g_byte_array_new();

    add_bytes(zlib, "\x01\xff\xff\x00\x00", 5);
    g_byte_array_append(zlib, content, 1000);
    g_assert_cmpint(result_of(COMPRESSION_ZLIB, zlib), ==, DECOMPRESS_INVALID);
}

int main(int argc, char **argv)
{
    make_content();
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/decompress/whole", test_whole);
    g_test_add_func("/decompress/bytes-behind", test_bytes_behind);
    g_test_add_func("/decompress/longer", test_longer);
    g_test_add_func("/decompress/end-missing", test_end_missing);
    g_test_add_func("/decompress/shorter", test_shorter);
    g_test_add_func("/decompress/cut", test_cut);
    g_test_add_func("/decompress/other-format", test_other_format);
    g_test_add_func("/decompress/zeros", test_zeros);
    g_test_add_func("/decompress/frames", test_frames);
    g_test_add_func("/decompress/checksum", test_checksum);
    g_test_add_func("/decompress/window", test_window);
    g_test_add_func("/decompress/stored-block", test_stored_block);
    return g_test_run();
}
