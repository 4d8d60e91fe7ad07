/*
 * How much memory a check may need: an upper estimate, made when header, snapshot table and bitmap directory are read,
 * and before anything large is kept.
 *
 * It takes every cluster of the file for used and every table for full of faults, so most images need far less. It does
 * not reckon with clusters of more than 65,535 references, nor with what viscera, findings and pictures take.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_CHECK_MEMORY_H
#define BLOCK_QCOW2_CHECK_MEMORY_H

#include "block/qcow2/load/bitmap-directory.h"
#include "block/qcow2/load/image.h"
#include "block/qcow2/load/snapshot-table.h"

/* What a check keeps whatever it counts at a time, but for tables: 8 bytes for an entry, and what refers to it. */
uint64_t qcow2_memory_base(const Qcow2Image *image, const Qcow2Snapshots *snapshots,
                           const Qcow2BitmapDirectory *bitmaps, unsigned workers);

/* The entries of L1 and bitmap tables, in bytes, as far as the file may have them. */
uint64_t qcow2_memory_table_entries(const Qcow2Image *image, const Qcow2Snapshots *snapshots,
                                    const Qcow2BitmapDirectory *bitmaps);

/* What counting takes for each cluster of a file whose counts are up to 65,535, at most. */
unsigned qcow2_memory_per_cluster(const Qcow2HeaderFields *header);

/* Bytes that a check of @image by @workers threads may need; UINT64_MAX where it is more than can be said. */
uint64_t qcow2_memory_estimate(const Qcow2Image *image, const Qcow2Snapshots *snapshots,
                               const Qcow2BitmapDirectory *bitmaps, unsigned workers);

#endif
