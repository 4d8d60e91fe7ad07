/*
 * Copying the metadata of an image, and nothing of what the guest has written.
 *
 * What is copied is what a check reads: header and extensions, refcount table and blocks, L1 and L2 tables, snapshot
 * table, bitmap directory and tables. It goes to the same offsets, so that a check of the copy says what a check of the
 * image says. Data clusters, compressed or not, bits of bitmaps and LUKS headers are never read.
 *
 * A pointer in a broken image may lead into the guest's data. What does not look like what it should be
 * (block/qcow2/inspect/plausible.h) is not copied, and the sink is told; so it is of what cannot be read.
 *
 * Not thread safe; the sink is called by one thread at a time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_METADUMP_COPY_H
#define BLOCK_QCOW2_METADUMP_COPY_H

#include "block/qcow2-check.h"
#include "block/qcow2/metadump/sink.h"

/*
 * Copies the metadata of @image. With @scramble_names, backing and data file names, names of snapshots and bitmaps, and
 * what is in records that this program does not know, become unreadable. @options says how many threads read. False and
 * @errp set when the sink fails or memory is short.
 */
bool qcow2_copy_metadata(Qcow2Image *image, const Qcow2CheckOptions *options, bool scramble_names,
                         const Qcow2CopySink *sink, GError **errp);

#endif
