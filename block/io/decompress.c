/*
 * Decompressing the data of a compressed cluster: see block/decompress.h.
 *
 * What is accepted is what the stock tool reads (docs/interop/qcow2-format.rst 6.1): deflate data may go on behind the
 * cluster, zstd data may be several frames, none of which needs a window of more than 128 MiB.
 *
 * libdeflate is several times faster than zlib, and right about data that is one cluster. At the end of the data it
 * reads zeros that are not there, it does not tell how far it came, and it accepts code lengths that zlib does not:
 * what is no whole cluster to it, zlib judges.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/decompress.h"

#include <glib.h>
#include <libdeflate.h>
#include <stdbool.h>
#include <zlib.h>
#include <zstd.h>

#define ZLIB_RAW          (-15)               /* deflate data without header, with the largest window */
#define ZSTD_MAX_WINDOW   (UINT64_C(1) << 27) /* bytes; the default of programs that decompress piece by piece */
#define ZSTD_FRAME_MAGIC  UINT32_C(0xfd2fb528)
#define ZSTD_NO_WINDOW    0x20u /* flag of the frame header: the content is the window */
#define ZSTD_LEAST_HEADER 6u    /* bytes: magic number, flags, window */

struct Decompressor {
    struct libdeflate_decompressor *deflate;
    z_stream zlib;
    bool has_zlib;
    ZSTD_DCtx *zstd;
    size_t size;
    uint8_t *output;
};

static void decompressor_free(Decompressor *d)
{
    if (d) {
        libdeflate_free_decompressor(d->deflate);
        if (d->has_zlib) {
            inflateEnd(&d->zlib);
        }
        ZSTD_freeDCtx(d->zstd);
        g_free(d->output);
        g_free(d);
    }
}

static Decompressor *decompressor_create(size_t size)
{
    Decompressor *d = g_try_new0(Decompressor, 1);

    if (!d) {
        return NULL;
    }
    d->size = size;
    d->output = g_try_malloc(size);
    d->deflate = libdeflate_alloc_decompressor();
    d->zstd = ZSTD_createDCtx();
    d->has_zlib = inflateInit2(&d->zlib, ZLIB_RAW) == Z_OK;
    if (!d->output || !d->deflate || !d->has_zlib || !d->zstd) {
        decompressor_free(d);
        return NULL;
    }
    return d;
}

/* By zlib. */
static DecompressResult inflate_slowly(Decompressor *d, const uint8_t *data, size_t length)
{
    int end;

    d->zlib.next_in = (uint8_t *)data; /* which is not written to */
    d->zlib.avail_in = (uInt)length;
    d->zlib.next_out = d->output;
    d->zlib.avail_out = (uInt)d->size;
    if (inflateReset(&d->zlib) != Z_OK) {
        return DECOMPRESS_INVALID;
    }
    end = inflate(&d->zlib, Z_FINISH);
    if (d->zlib.avail_out == 0 && (end == Z_STREAM_END || end == Z_BUF_ERROR)) {
        return DECOMPRESS_WHOLE;
    }
    return end == Z_STREAM_END ? DECOMPRESS_SHORT : DECOMPRESS_INVALID;
}

static DecompressResult inflate_all(Decompressor *d, const uint8_t *data, size_t length)
{
    if (libdeflate_deflate_decompress(d->deflate, data, length, d->output, d->size, NULL) == LIBDEFLATE_SUCCESS) {
        return DECOMPRESS_WHOLE;
    }
    return inflate_slowly(d, data, length);
}

/* Returns true if the frame at @data asks for more memory than programs give it. */
static bool window_too_large(const uint8_t *data, size_t length)
{
    uint32_t magic;
    uint64_t base;

    if (length < ZSTD_LEAST_HEADER) {
        return false;
    }
    magic = data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
    if (magic != ZSTD_FRAME_MAGIC || (data[4] & ZSTD_NO_WINDOW)) {
        return false;
    }
    base = UINT64_C(1) << (10 + (data[5] >> 3));
    return base + base / 8 * (data[5] & 7) > ZSTD_MAX_WINDOW;
}

/* Frame by frame, so that none needs a window of its own: the output is the window. */
static DecompressResult unpack_frames(Decompressor *d, const uint8_t *data, size_t length)
{
    size_t used = 0;

    while (used < d->size) {
        size_t frame = length ? ZSTD_findFrameCompressedSize(data, length) : 0;
        size_t got;

        if (!length) {
            return DECOMPRESS_SHORT;
        }
        if (ZSTD_isError(frame)) {
            /* bytes behind the last frame are no frame */
            return used ? DECOMPRESS_SHORT : DECOMPRESS_INVALID;
        }
        if (window_too_large(data, length)) {
            return DECOMPRESS_INVALID;
        }
        got = ZSTD_decompressDCtx(d->zstd, d->output + used, d->size - used, data, frame);
        if (ZSTD_isError(got)) {
            return DECOMPRESS_INVALID;
        }
        used += got;
        data += frame;
        length -= frame;
    }
    return DECOMPRESS_WHOLE;
}

static DecompressResult decompressor_decompress(Decompressor *d, CompressionFormat format, const uint8_t *data,
                                                size_t length)
{
    return format == COMPRESSION_ZLIB ? inflate_all(d, data, length) : unpack_frames(d, data, length);
}

const DecompressOps *decompress_ops(void)
{
    static const DecompressOps ops = {
        .create = decompressor_create,
        .decompress = decompressor_decompress,
        .free = decompressor_free,
    };

    return &ops;
}
