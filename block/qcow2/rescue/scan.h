/*
 * The scan of a rescue: one pass over all data of a file, which finds where tables may be.
 *
 * Holes are not read. Memory: 16 bytes for each 64 KiB in which something looks like a table. Reads on several threads;
 * the result belongs to one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_RESCUE_SCAN_H
#define BLOCK_QCOW2_RESCUE_SCAN_H

#include "block/io/prefetch.h"
#include "block/qcow2/rescue/forms.h"

typedef struct Qcow2ByteRange {
    uint64_t offset;
    uint64_t size;
} Qcow2ByteRange;

typedef struct Qcow2Scan {
    Qcow2Votes votes;
    GArray *tables;    /* Qcow2ByteRange, sorted: where tables may be */
    GArray *snapshots; /* uint64_t, sorted: sectors with which a snapshot table may begin */
    GArray *luks;      /* uint64_t, sorted: sectors with which a LUKS header begins */
    GArray *unread;    /* Qcow2ByteRange, sorted: what could not be read */
    uint64_t data;     /* bytes that were read */
} Qcow2Scan;

/* Reads all of @source. False and @errp set when memory is short; @scan is to be cleared either way. */
bool qcow2_scan(BlockSource *source, const BlockReadOptions *options, Qcow2Scan *scan, GError **errp);
void qcow2_scan_clear(Qcow2Scan *scan);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Qcow2Scan, qcow2_scan_clear)

#endif
