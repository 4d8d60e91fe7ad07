/*
 * Compressing a stream with zstd: see ui/image/compressor.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/image/compressor.h"

#include <errno.h>
#include <glib.h>
#include <zstd.h>

struct Compressor {
    ZSTD_CCtx *zstd;
    size_t capacity;
    char *buffer;
};

static void compressor_free(Compressor *c)
{
    if (c) {
        ZSTD_freeCCtx(c->zstd);
        g_free(c->buffer);
        g_free(c);
    }
}

static Compressor *compressor_create(void)
{
    Compressor *c = g_try_new0(Compressor, 1);

    if (!c) {
        return NULL;
    }
    c->capacity = ZSTD_CStreamOutSize();
    c->buffer = g_try_malloc(c->capacity);
    c->zstd = ZSTD_createCCtx();
    if (!c->buffer || !c->zstd || ZSTD_isError(ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_checksumFlag, 1))) {
        compressor_free(c);
        return NULL;
    }
    return c;
}

static bool compressor_write(Compressor *c, const void *bytes, size_t size, bool last, FILE *out)
{
    ZSTD_inBuffer from = {.src = bytes, .size = size};
    size_t left;

    do {
        ZSTD_outBuffer to = {.dst = c->buffer, .size = c->capacity};

        left = ZSTD_compressStream2(c->zstd, &to, &from, last ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(left)) {
            errno = ENOMEM; /* nothing else can fail */
            return false;
        }
        if (fwrite(c->buffer, 1, to.pos, out) != to.pos) {
            return false;
        }
    } while (last ? left > 0 : from.pos < from.size);
    return true;
}

const CompressorOps *compressor_ops(void)
{
    static const CompressorOps ops = {.create = compressor_create, .write = compressor_write, .free = compressor_free};

    return &ops;
}
