/*
 * An opened image, as the parts of the driver see it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_LOAD_IMAGE_H
#define BLOCK_QCOW2_LOAD_IMAGE_H

#include "block/qcow2-image.h"
#include "block/qcow2/format/header.h"
#include "block/qcow2/load/refcount-blocks.h"

struct Qcow2Image {
    BlockSource *source;     /* borrowed */
    BlockSourceState opened; /* before the first byte was read */
    Qcow2HeaderFields header;
    Qcow2Extensions extensions;
    Qcow2RefcountEntries refcount_table;

    uint64_t
        header_unread_from; /* where the bytes of cluster 0 begin that are wanted and cannot be read; 0 = nowhere */
    int header_error;       /* why, a positive errno value */
};

/* True where what is known of @image is less than its first clusters would say, could they be read. */
static inline bool qcow2_image_partly_unread(const Qcow2Image *image)
{
    return image->header_unread_from || image->refcount_table.error;
}

#endif
