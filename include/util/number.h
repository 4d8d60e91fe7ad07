/*
 * Checked arithmetic and byte order, for numbers from an image. Plain C11, which the pure decoders include.
 *
 * Functions that return bool return false on overflow, and leave *result alone then. Nothing here allocates.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_NUMBER_H
#define UTIL_NUMBER_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define DIV_ROUND_UP(n, d) ((n) / (d) + ((n) % (d) != 0))

static inline bool add_u64(uint64_t a, uint64_t b, uint64_t *result)
{
    if (b > UINT64_MAX - a) {
        return false;
    }
    *result = a + b;
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

/* Between the byte order of the machine and that of the file. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
static inline uint64_t swap_be64(uint64_t v)
{
    return __builtin_bswap64(v);
}

static inline uint32_t swap_be32(uint32_t v)
{
    return __builtin_bswap32(v);
}

static inline uint16_t swap_be16(uint16_t v)
{
    return __builtin_bswap16(v);
}
#else
static inline uint64_t swap_be64(uint64_t v)
{
    return v;
}

static inline uint32_t swap_be32(uint32_t v)
{
    return v;
}

static inline uint16_t swap_be16(uint16_t v)
{
    return v;
}
#endif

/* Big-endian loads from any address. */
static inline uint64_t load_be64(const void *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return swap_be64(v);
}

static inline uint32_t load_be32(const void *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return swap_be32(v);
}

static inline uint16_t load_be16(const void *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof(v));
    return swap_be16(v);
}

/* Big-endian stores to any address. */
static inline void store_be64(void *p, uint64_t v)
{
    v = swap_be64(v);
    memcpy(p, &v, sizeof(v));
}

static inline void store_be32(void *p, uint32_t v)
{
    v = swap_be32(v);
    memcpy(p, &v, sizeof(v));
}

static inline void store_be16(void *p, uint16_t v)
{
    v = swap_be16(v);
    memcpy(p, &v, sizeof(v));
}

#endif
