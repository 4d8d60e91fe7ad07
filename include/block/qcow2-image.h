/*
 * A qcow2 image, opened for a check.
 *
 * An image is opened in the tolerant way of a check (docs/interop/check-behaviour.rst 2.2). Unlike in the stock tool,
 * backing file and external data file are not opened, and no key is asked for (docs/interop/differences.rst).
 *
 * Not thread safe: one image belongs to one thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_IMAGE_H
#define BLOCK_QCOW2_IMAGE_H

#include <stdio.h>

#include "block/source.h"

typedef struct Qcow2Image Qcow2Image;

/*
 * Reads and validates the header of @source, which the image borrows: it must outlive the image. NULL and @errp set if
 * the header is not accepted; the message is the stock tool's text (docs/interop/check-behaviour.rst 2.2 and 2.3).
 * @warn, which may be NULL, gets warnings, each with its line ends.
 */
Qcow2Image *qcow2_open(BlockSource *source, FILE *warn, GError **errp);
void qcow2_close(Qcow2Image *image);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Qcow2Image, qcow2_close)

/* The clusters of the file, a last one that is not whole included. */
uint64_t qcow2_file_clusters(const Qcow2Image *image);

/*
 * Returns true if the first @size bytes of a file are those of a qcow2 image, version 2 or later
 * (docs/interop/check-behaviour.rst 2.1).
 */
bool qcow2_probe(const void *bytes, size_t size);

#endif
