/*
 * An opened image, for the files of the layers above.
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

    uint64_t header_unread_from; /* the first unreadable byte of cluster 0 among those needed; 0: none */
    int header_error;            /* why, a positive errno value */
};

/* The end of a file of @length bytes, as lengths are everywhere: whole sectors (docs/interop/check-behaviour.rst 2.7).
 */
static inline uint64_t qcow2_file_end(uint64_t length)
{
    return (length + QCOW2_SECTOR_SIZE - 1) / QCOW2_SECTOR_SIZE * QCOW2_SECTOR_SIZE;
}

/* Returns true if a part of the header cluster or of the refcount table could not be read. */
static inline bool qcow2_image_partly_unread(const Qcow2Image *image)
{
    return image->header_unread_from || image->refcount_table.error;
}

#endif
