/*
 * One L2 table: its bytes to runs, extents and faults. Pure, no I/O; the hot loop of a check.
 *
 * A run is a row of guest clusters whose host clusters follow one another. What is no cluster-aligned row, that
 * is compressed and unaligned clusters, are extents. Neither is compared with the length of the file here.
 *
 * The result is reused from table to table, so that nothing is allocated in the long run. Not thread safe, but
 * any number of results may be filled at once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_FORMAT_L2_H
#define BLOCK_QCOW2_FORMAT_L2_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "block/qcow2/format/header.h"
#include "qapi/qapi-types.h"

typedef struct Qcow2Run {
    uint64_t offset; /* host offset of the first cluster, cluster aligned */
    uint32_t index;  /* of the first entry in the table */
    uint32_t n;      /* clusters and entries, at least 1 */
    bool copied;     /* the COPIED flag of all of them */
} Qcow2Run;

typedef struct Qcow2Extent {
    uint64_t offset; /* host offset, bytes */
    uint32_t length; /* bytes, at least 1 */
    uint32_t index;  /* of the entry in the table */
    bool compressed; /* else an unaligned cluster, which has a COPIED flag */
} Qcow2Extent;

/* A fault of one entry; the faults of a table are in stock order. */
typedef struct Qcow2L2Fault {
    uint32_t index;
    ImageCheckFindingKind kind;
    uint64_t values[2]; /* what the message of the kind wants; where that is an offset only, its length is behind it */
} Qcow2L2Fault;

typedef struct Qcow2L2Result {
    Qcow2Run *runs; /* room for a run in every entry */
    uint32_t n_runs;
    GArray *extents; /* Qcow2Extent */
    GArray *faults;  /* Qcow2L2Fault */

    /* statistics, in guest clusters (spec check-behaviour 3.4) */
    uint32_t allocated;
    uint32_t compressed;
    uint32_t fragmented;
} Qcow2L2Result;

Qcow2L2Result *qcow2_l2_result_new(const Qcow2HeaderFields *header); /* NULL when memory is short */
void qcow2_l2_result_free(Qcow2L2Result *result);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Qcow2L2Result, qcow2_l2_result_free)

/* Decodes the table of one cluster at @table; @result is emptied first. */
void qcow2_l2_decode(const Qcow2HeaderFields *header, const uint8_t *table, Qcow2L2Result *result);

/* What the compressed cluster of @entry, number @index of its table, takes; the COPIED flag is not looked at. */
Qcow2Extent qcow2_l2_compressed_extent(const Qcow2HeaderFields *header, uint64_t entry, uint32_t index);

/* Bytes of one entry: 8, or 16 with extended L2 entries. */
static inline unsigned qcow2_l2_entry_size(const Qcow2HeaderFields *h)
{
    return qcow2_has_extended_l2(h) ? 16 : 8;
}

#endif
