/*
 * Compressing a stream with zstd.
 *
 * The library for it is a module (util/module.h). Memory is some megabytes, whatever the length of the stream. Not
 * thread-safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_IMAGE_COMPRESSOR_H
#define UI_IMAGE_COMPRESSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

typedef struct Compressor Compressor;

typedef struct CompressorOps {
    Compressor *(*create)(void); /* NULL when memory is short */

    /*
     * Compresses @size bytes, and writes to @out what is ready of them; all that is left if they are the @last. False
     * on failure, with the reason in errno.
     */
    bool (*write)(Compressor *compressor, const void *bytes, size_t size, bool last, FILE *out);

    void (*free)(Compressor *compressor); /* NULL is ignored */
} CompressorOps;

/* Returns the functions, which are static. */
typedef const CompressorOps *CompressorGetOps(void);

#define COMPRESSOR_FUNCTION "compressor_ops" /* of COMPRESSION_MODULE */
CompressorGetOps compressor_ops;

#endif
