/*
 * Where a copy of metadata goes: an interface that the caller of qcow2_copy_metadata() implements.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_METADUMP_SINK_H
#define BLOCK_QCOW2_METADUMP_SINK_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qapi/qapi-types.h"

typedef struct Qcow2CopySink {
    /* Puts @size bytes (1 .. 2^21) at @offset; later ones replace earlier ones. False and @errp set on failure. */
    bool (*write)(void *opaque, uint64_t offset, const void *bytes, size_t size, GError **errp);

    /* Says what is not copied, though it is metadata: @size bytes at @offset, for the reason @why. */
    void (*omitted)(void *opaque, ImageCheckStructure structure, uint64_t offset, uint64_t size, const char *why);

    void *opaque;
} Qcow2CopySink;

#endif
