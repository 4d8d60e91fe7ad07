/*
 * The metadata stream, as docs/interop/metadata-stream.rst has it; shares nothing with the program.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_FUZZ_STREAM_FORMAT_H
#define TESTS_FUZZ_STREAM_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define STREAM_MAGIC       "qcow2-metadump\x0d\x0a"
#define STREAM_MAGIC_SIZE  16u
#define STREAM_HEADER_SIZE 24u /* magic; length of the image: 8 bytes */
#define STREAM_RECORD_SIZE 16u /* offset: 8 bytes; size: 4; zero: 4 */
#define STREAM_LAST        UINT64_MAX
#define STREAM_MAX_LENGTH  UINT64_C(0x7fffffffc0000000)
#define STREAM_MAX_PART    2097152u
#define STREAM_DIGEST_SIZE 32u

/* A big-endian number of @size bytes. */
static inline uint64_t stream_get(const uint8_t *bytes, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++) {
        value = value << 8 | bytes[i];
    }
    return value;
}

static inline void stream_put(uint8_t *bytes, unsigned size, uint64_t value)
{
    for (unsigned i = size; i > 0; i--, value >>= 8) {
        bytes[i - 1] = value & 0xff;
    }
}

#endif
