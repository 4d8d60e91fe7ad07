/*
 * The image whose undo files are fuzzed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_FUZZ_UNDO_IMAGE_H
#define TESTS_FUZZ_UNDO_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#define IMAGE_LENGTH 10000u /* bytes, no multiple of a sector */

/* tests/fuzz/make-corpus has the same. */
static inline void undo_image(uint8_t *bytes)
{
    for (size_t i = 0; i < IMAGE_LENGTH; i++) {
        bytes[i] = (i * 7 + i / 256) & 0xff;
    }
}

#endif
