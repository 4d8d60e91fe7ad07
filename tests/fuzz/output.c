/*
 * Output of the code under test: see output.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "output.h"

#include <glib.h>

/* FNV-1a */
#define HASH_START UINT64_C(0xcbf29ce484222325)
#define HASH_PRIME UINT64_C(0x100000001b3)

static ssize_t take(void *cookie, const char *bytes, size_t size)
{
    Output *output = cookie;

    for (size_t i = 0; i < size; i++) {
        uint8_t byte = bytes[i];

        output->controls |= (byte < ' ' && byte != '\n') || byte == 0x7f;
        output->hash = (output->hash ^ byte) * HASH_PRIME;
    }
    output->size += size;
    return size;
}

FILE *output_begin(Output *output)
{
    FILE *stream;

    *output = (Output){.hash = HASH_START};
    stream = fopencookie(output, "w", (cookie_io_functions_t){.write = take});
    g_assert_nonnull(stream);
    return stream;
}

void output_is_printable(const Output *output)
{
    g_assert_false(output->controls);
}

uint64_t output_hash(const uint8_t *bytes, size_t size)
{
    Output output = {.hash = HASH_START};

    take(&output, (const char *)bytes, size);
    return output.hash;
}
