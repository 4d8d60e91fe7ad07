/*
 * Reading L2 tables, and their entries.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_RESCUE_VISIT_H
#define BLOCK_QCOW2_RESCUE_VISIT_H

#include "block/io/prefetch.h"
#include "block/qcow2/format/header.h"

/* An L2 table to be read. */
typedef struct Qcow2TableToRead {
    uint64_t offset; /* cluster aligned */
    uint64_t key;    /* for the caller */
} Qcow2TableToRead;

/* Called for each table by one thread at a time; @bytes is NULL for zeros and for what could not be read. */
typedef void Qcow2VisitTable(void *opaque, const Qcow2TableToRead *table, const uint8_t *bytes);

/* Reads all of @tables (Qcow2TableToRead), which it sorts by offset. False and @errp set when memory is short. */
bool qcow2_visit_tables(BlockSource *source, const BlockReadOptions *options, const Qcow2HeaderFields *header,
                        GArray *tables, Qcow2VisitTable *visit, void *opaque, GError **errp);

/* The host offset to which the L2 entry number @i at @bytes leads, compressed or not; 0: to none. */
uint64_t qcow2_entry_host(const uint8_t *bytes, uint32_t i, const Qcow2HeaderFields *header);

#endif
