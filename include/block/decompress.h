/*
 * Decompressing the data of a compressed cluster, to learn whether that is possible: nobody sees the output.
 *
 * The libraries for it are a module (util/module.h). Data is hostile: the output is bounded by the size that a
 * decompressor was made for, and memory is only allocated when it is made. Bytes behind the end of the data are
 * ignored, as its length is known to the sector only.
 *
 * A decompressor belongs to one thread; there may be any number of them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_DECOMPRESS_H
#define BLOCK_DECOMPRESS_H

#include <stddef.h>
#include <stdint.h>

typedef enum CompressionFormat {
    COMPRESSION_ZLIB, /* raw deflate, without header and checksum */
    COMPRESSION_ZSTD, /* frames */
} CompressionFormat;

typedef enum DecompressResult {
    DECOMPRESS_WHOLE,   /* the data is valid, and has a whole cluster */
    DECOMPRESS_SHORT,   /* the data is valid, and ends before that */
    DECOMPRESS_INVALID, /* the data is damaged, or of another format */
} DecompressResult;

typedef struct Decompressor Decompressor;

typedef struct DecompressOps {
    /* Makes a decompressor for output of @size bytes, at least 1. NULL when memory is short. */
    Decompressor *(*create)(size_t size);

    /* Decompresses the @length bytes at @data. */
    DecompressResult (*decompress)(Decompressor *decompressor, CompressionFormat format, const uint8_t *data,
                                   size_t length);

    void (*free)(Decompressor *decompressor); /* NULL is ignored */
} DecompressOps;

/* Returns the functions, which are static. */
typedef const DecompressOps *DecompressGetOps(void);

#define COMPRESSION_MODULE  "qemu-img-compression"
#define DECOMPRESS_FUNCTION "decompress_ops"
DecompressGetOps decompress_ops;

#endif
