/*
 * Writing the copy of metadata.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/metadump/writer.h"
#include "util/zeros.h"

#include <string.h>

#define HOLE_SIZE 4096 /* bytes, the usual unit of holes in files: smaller ones are not worth an own write */

static bool write_locked(Qcow2Copy *copy, uint64_t offset, const uint8_t *bytes, size_t size)
{
    const Qcow2CopySink *sink = copy->sink;
    bool ok;

    pthread_mutex_lock(&copy->lock);
    copy->over_header |= offset < copy->check->image->header.cluster_size;
    ok = !copy->error && sink->write(sink->opaque, offset, bytes, size, &copy->error);
    pthread_mutex_unlock(&copy->lock);
    return ok;
}

/* The first n <= @size bytes that are all zeros or all to be written, by whole units of holes. */
static size_t stretch(uint64_t offset, const uint8_t *bytes, size_t size, bool *zeros)
{
    size_t n = MIN(size, HOLE_SIZE - offset % HOLE_SIZE);

    *zeros = is_zeros(bytes, n);
    while (n < size && is_zeros(bytes + n, MIN(size - n, HOLE_SIZE)) == *zeros) {
        n += MIN(size - n, HOLE_SIZE);
    }
    return n;
}

bool qcow2_copy_bytes(Qcow2Copy *copy, uint64_t offset, const uint8_t *bytes, size_t size)
{
    uint64_t length = copy->check->image->source->length;
    size_t left = offset < length ? MIN(size, length - offset) : 0;

    while (left) {
        bool zeros;
        size_t n = stretch(offset, bytes, left, &zeros);

        if (!zeros && !write_locked(copy, offset, bytes, n)) {
            return false;
        }
        offset += n;
        bytes += n;
        left -= n;
    }
    return true;
}

void qcow2_copy_omit(Qcow2Copy *copy, ImageCheckStructure structure, uint64_t offset, uint64_t size, const char *why)
{
    pthread_mutex_lock(&copy->lock);
    copy->sink->omitted(copy->sink->opaque, structure, offset, size, why);
    pthread_mutex_unlock(&copy->lock);
}
