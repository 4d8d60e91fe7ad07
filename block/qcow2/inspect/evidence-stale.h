/*
 * Bitmaps that a program which does not know them has made stale: they leak, and are of no use to anybody.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_INSPECT_EVIDENCE_STALE_H
#define BLOCK_QCOW2_INSPECT_EVIDENCE_STALE_H

#include "block/clusters/ranges.h"
#include "block/qcow2/load/image.h"

/* Qcow2ClusterRange, sorted and disjoint: where the tables of stale bitmaps are. Empty where @image has none. */
GArray *qcow2_stale_bitmap_tables(const Qcow2Image *image);

#endif
