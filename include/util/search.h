/*
 * Binary search among sorted things. Nothing here allocates or fails.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_SEARCH_H
#define UTIL_SEARCH_H

#include <glib.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * The index of the first of @n items whose key is not below @key, or @n. @keys points at the key of the first item;
 * those of the others follow it at every @stride bytes, and never get less.
 */
static inline size_t first_not_below(const void *keys, size_t n, size_t stride, uint64_t key)
{
    size_t low = 0;

    while (low < n) {
        size_t middle = low + (n - low) / 2;
        uint64_t found;

        memcpy(&found, (const char *)keys + middle * stride, sizeof(found));
        if (found < key) {
            low = middle + 1;
        } else {
            n = middle;
        }
    }
    return low;
}

/* The same in the GArray @array of @type, which is sorted by @member, a uint64_t. */
#define ARRAY_FIRST_NOT_BELOW(array, type, member, key)                                                                \
    first_not_below((array)->data + offsetof(type, member), (array)->len, sizeof(type), key)

#endif
