/*
 * Bytes that are all zero.
 *
 * Any thread; nothing fails.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_ZEROS_H
#define UTIL_ZEROS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Returns true if all @size bytes are zero, also where there are none. */
static inline bool is_zeros(const void *bytes, size_t size)
{
    const uint8_t *b = bytes;

    return size == 0 || (b[0] == 0 && memcmp(b, b + 1, size - 1) == 0);
}

#endif
