/*
 * Bitmaps that a program which does not know them has made stale, or that check --drop has given up: they leak, and are
 * of no use to anybody.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_INSPECT_EVIDENCE_STALE_H
#define BLOCK_QCOW2_INSPECT_EVIDENCE_STALE_H

#include "block/clusters/ranges.h"
#include "block/qcow2/check/check.h"

/*
 * Returns Qcow2ClusterRange, sorted and disjoint: leaked clusters in which tables of such bitmaps are. Only what an
 * extension of the header leads to, over a directory that leaks too, and what has the form of such a table.
 */
GArray *qcow2_stale_bitmap_tables(const Qcow2Check *check);

#endif
