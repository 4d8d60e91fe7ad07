/*
 * Sizes and offsets as people write them, with binary units.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_SIZE_H
#define UTIL_SIZE_H

#include <stdbool.h>
#include <stdint.h>

/* @bytes with three digits and a unit, such as "1.50 GiB"; below a KiB exactly, such as "512 B". The caller frees it. */
char *size_format(uint64_t bytes);

/*
 * Reads a whole number, decimal or with 0x in front hexadecimal, and a suffix that multiplies it by a power of 1024: k,
 * M, G, T, P or E, large or small. False, and *bytes left alone, where @text is something else, or too great.
 */
bool size_parse(const char *text, uint64_t *bytes);

#endif
