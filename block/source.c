/*
 * What all block sources share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/source.h"

#include <errno.h>
#include <string.h>

/* The largest single request that BlockSourceOps.read_at promises to take, bytes. */
#define MAX_REQUEST (1u << 30)

G_DEFINE_QUARK(block - error - quark, block_error)

int block_source_read(BlockSource *source, void *buffer, size_t size, uint64_t offset)
{
    char *to = buffer;
    uint64_t end;

    if (__builtin_add_overflow(offset, size, &end) || end > BLOCK_SOURCE_MAX_LENGTH) {
        return -EIO;
    }
    while (size > 0 && offset < source->length) {
        uint64_t below_end = MIN(size, source->length - offset);
        ssize_t n = source->ops->read_at(source, to, MIN(below_end, MAX_REQUEST), offset);

        if (n < 0) {
            return n;
        }
        if (n == 0) {
            break;
        }
        to += n;
        size -= n;
        offset += n;
    }
    memset(to, 0, size);
    return 0;
}

void block_source_close(BlockSource *source)
{
    if (source) {
        source->ops->close(source);
    }
}
