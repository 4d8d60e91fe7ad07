/*
 * Checked arithmetic and byte order, for numbers from an image.
 *
 * Functions that return bool return false on overflow, and leave *result alone then. Nothing here allocates.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_NUMBER_H
#define UTIL_NUMBER_H

#include <glib.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define DIV_ROUND_UP(n, d) ((n) / (d) + ((n) % (d) != 0))

static inline bool add_u64(uint64_t a, uint64_t b, uint64_t *result)
{
    uint64_t sum;

    if (__builtin_add_overflow(a, b, &sum)) {
        return false;
    }
    *result = sum;
    return true;
}

/* Sets *@result to @n, rounded up to a multiple of @alignment, a power of two. */
static inline bool align_up_u64(uint64_t n, uint64_t alignment, uint64_t *result)
{
    uint64_t sum;

    if (!add_u64(n, alignment - 1, &sum)) {
        return false;
    }
    *result = sum & ~(alignment - 1);
    return true;
}

/*
 * Returns the hash of a uint64_t, for hash tables whose keys g_int64_equal() compares. g_int64_hash() ignores the upper
 * half, and offsets in an image often differ only there.
 */
static inline unsigned hash_u64(const void *number)
{
    uint64_t value;

    memcpy(&value, number, sizeof(value));
    return (unsigned)((value * UINT64_C(0x9e3779b97f4a7c15)) >> 32);
}

/* Big-endian loads from any address. */
static inline uint64_t load_be64(const void *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return GUINT64_FROM_BE(v);
}

static inline uint32_t load_be32(const void *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return GUINT32_FROM_BE(v);
}

static inline uint16_t load_be16(const void *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof(v));
    return GUINT16_FROM_BE(v);
}

/* Big-endian stores to any address. */
static inline void store_be64(void *p, uint64_t v)
{
    v = GUINT64_TO_BE(v);
    memcpy(p, &v, sizeof(v));
}

static inline void store_be32(void *p, uint32_t v)
{
    v = GUINT32_TO_BE(v);
    memcpy(p, &v, sizeof(v));
}

static inline void store_be16(void *p, uint16_t v)
{
    v = GUINT16_TO_BE(v);
    memcpy(p, &v, sizeof(v));
}

#endif
