/*
 * What is in one L2 table: runs, extents and faults, collected from format/l2.h.
 *
 * Compressed and unaligned clusters are extents. The result is reused from table to table, so that nothing is allocated
 * in the long run. Not thread safe, but any number of results may be filled at once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_LOAD_L2_RESULT_H
#define BLOCK_QCOW2_LOAD_L2_RESULT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "block/qcow2/format/l2.h"
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
    uint64_t values[2]; /* the values of the message of the kind; behind a single offset, the length of the extent */
} Qcow2L2Fault;

typedef struct Qcow2L2Result {
    Qcow2Run *runs; /* memory for one in each entry */
    uint32_t n_runs;
    GArray *extents; /* Qcow2Extent */
    GArray *faults;  /* Qcow2L2Fault */

    /* statistics, in guest clusters (docs/interop/check-behaviour.rst 3.4) */
    uint32_t allocated;
    uint32_t compressed;
    uint32_t fragmented;
} Qcow2L2Result;

Qcow2L2Result *qcow2_l2_result_new(const Qcow2HeaderFields *header); /* NULL when memory is short */
void qcow2_l2_result_free(Qcow2L2Result *result);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Qcow2L2Result, qcow2_l2_result_free)

/* Decodes the table of one cluster at @table; @result is emptied first. */
void qcow2_l2_decode(const Qcow2HeaderFields *header, const uint8_t *table, Qcow2L2Result *result);

/* Calls @visit for each range of bytes in the file that the decoded table refers to; none is empty. */
typedef void Qcow2VisitRange(void *opaque, uint64_t offset, uint64_t size);
void qcow2_l2_visit_ranges(const Qcow2HeaderFields *header, const Qcow2L2Result *result, Qcow2VisitRange *visit,
                           void *opaque);

/* The extent of the compressed cluster of @entry, number @index of its table; the COPIED flag is ignored. */
Qcow2Extent qcow2_l2_compressed_extent(const Qcow2HeaderFields *header, uint64_t entry, uint32_t index);

#endif
