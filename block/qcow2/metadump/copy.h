/*
 * Copying the metadata of an image without the guest's data.
 *
 * The copy has what a check reads: header and extensions, refcount table and blocks, L1 and L2 tables, snapshot table,
 * bitmap directory and tables, at the same offsets, so that a check of the copy gives the result of the image. Data
 * clusters, compressed or not, bits of bitmaps and LUKS headers are never read. Leaked clusters are, and those that are
 * tables beyond doubt are copied (lost-tables.h).
 *
 * A pointer in a broken image may lead into the guest's data. Implausible structures (block/qcow2/inspect/plausible.h)
 * are not copied, and neither are unreadable ones; the sink gets a report of each.
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
 * the content of unknown records become unreadable. @options has the number of threads. False and @errp set when the
 * sink fails or memory is short.
 */
bool qcow2_copy_metadata(Qcow2Image *image, const Qcow2CheckOptions *options, bool scramble_names,
                         const Qcow2CopySink *sink, GError **errp);

#endif
