/*
 * Sizes and offsets as people write them, with binary units.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_SIZE_H
#define UTIL_SIZE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Returns @bytes with three digits and a unit, such as "1.50 GiB"; below a KiB exactly, such as "512 B". The caller
 * frees it.
 */
char *size_format(uint64_t bytes);

/*
 * Reads a whole number, decimal or hexadecimal with 0x, with an optional suffix for a power of 1024: k, M, G, T, P or
 * E, in either case. Returns false, and leaves *bytes alone, if @text is something else or the number is too large.
 */
bool size_parse(const char *text, uint64_t *bytes);

#endif
