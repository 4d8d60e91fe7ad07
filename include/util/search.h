/*
 * Sorting arrays by a number, and binary search in them. Nothing here fails.
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
 * Returns the index of the first of @n items whose key is not below @key, or @n. An item takes @stride bytes, and its
 * key, a uint64_t, is at byte @at. Keys never decrease. @items may be NULL if @n is 0, as in an empty GArray.
 */
static inline size_t first_not_below(const void *items, size_t n, size_t stride, size_t at, uint64_t key)
{
    size_t low = 0;

    while (low < n) {
        size_t middle = low + (n - low) / 2;
        uint64_t found;

        memcpy(&found, (const char *)items + middle * stride + at, sizeof(found));
        if (found < key) {
            low = middle + 1;
        } else {
            n = middle;
        }
    }
    return low;
}

/* The same among @n items of @type, sorted by @member, a uint64_t; and in a GArray of them, whose indices are guint. */
#define FIRST_NOT_BELOW(items, n, type, member, key)                                                                   \
    first_not_below((items), (n), sizeof(type), offsetof(type, member), (key))
#define ARRAY_FIRST_NOT_BELOW(array, type, member, key)                                                                \
    ((guint)FIRST_NOT_BELOW((array)->data, (array)->len, type, member, key))

/* Compares the uint64_t at byte @at, a pointer by its value, of two items: for g_array_sort_with_data(). */
static inline int compare_u64_at(const void *a, const void *b, void *at)
{
    uint64_t x, y;

    memcpy(&x, (const char *)a + GPOINTER_TO_SIZE(at), sizeof(x));
    memcpy(&y, (const char *)b + GPOINTER_TO_SIZE(at), sizeof(y));
    return (x > y) - (x < y);
}

/* Sorts a GArray of @type by @member, a uint64_t. Equal items stay in their order. */
#define ARRAY_SORT(array, type, member)                                                                                \
    g_array_sort_with_data((array), compare_u64_at, GSIZE_TO_POINTER(offsetof(type, member)))

/* The same for a GArray of uint64_t. */
#define ARRAY_SORT_U64(array) g_array_sort_with_data((array), compare_u64_at, NULL)

#endif
