/*
 * An opened image, as the parts of the driver see it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_IMAGE_H
#define BLOCK_QCOW2_IMAGE_H

#include "block/qcow2-header.h"
#include "block/qcow2-refcount.h"
#include "block/qcow2.h"

struct Qcow2Image {
    BlockSource *source;     /* borrowed */
    BlockSourceState opened; /* before the first byte was read */
    Qcow2HeaderFields header;
    Qcow2Extensions extensions;
    Qcow2RefcountEntries refcount_table;
};

#endif
