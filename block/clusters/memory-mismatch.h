/*
 * Where bytes differ. Nothing here allocates or fails.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_CLUSTERS_MEMORY_MISMATCH_H
#define BLOCK_CLUSTERS_MEMORY_MISMATCH_H

#include <glib.h>
#include <stdint.h>
#include <string.h>

#define MEMORY_NEAR 64 /* bytes */

/* The first i < @n at which the bytes differ, or @n. */
static inline size_t memory_near_mismatch(const uint8_t *a, const uint8_t *b, size_t n)
{
    size_t i = 0;

    for (; n - i >= sizeof(uint64_t); i += sizeof(uint64_t)) {
        uint64_t of_a, of_b;

        memcpy(&of_a, a + i, sizeof(of_a));
        memcpy(&of_b, b + i, sizeof(of_b));
        if (of_a != of_b) {
            return i + (size_t)__builtin_ctzll(GUINT64_FROM_LE(of_a ^ of_b)) / 8;
        }
    }
    while (i < n && a[i] == b[i]) {
        i++;
    }
    return i;
}

/* The same, at the speed of memory where they are equal. */
static inline size_t memory_mismatch(const uint8_t *a, const uint8_t *b, size_t n)
{
    size_t i = memory_near_mismatch(a, b, MIN(n, MEMORY_NEAR));

    if (i < MEMORY_NEAR) {
        return i;
    }
    /* memcmp() says quickly that a stretch is equal, but not where it is not */
    while (i < n) {
        size_t step = MIN(n - i, 256);

        if (memcmp(a + i, b + i, step)) {
            break;
        }
        i += step;
    }
    return i + memory_near_mismatch(a + i, b + i, n - i);
}

/* The first byte of @p that is not @value, or @n. */
static inline size_t memory_not_equal_to(const uint8_t *p, uint8_t value, size_t n)
{
    if (n && p[0] == value) {
        return 1 + memory_mismatch(p, p + 1, n - 1);
    }
    return 0;
}

#endif
