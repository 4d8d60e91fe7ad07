/*
 * Counting references to regions of the file (docs/interop/check-behaviour.rst 3.2).
 *
 * Counting and reporting are two passes over the same regions: counts may be added in any order and with weights,
 * and when all are there, the faults are reported in the stock tool's order by the same walk over the same list.
 * A region that reaches beyond the file is a fault of each reference to it. A count that does not fit the width
 * of the image's counts is a fault of those references that come last in stock order, so it is known only when
 * everything is counted.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_CHECK_COUNT_H
#define BLOCK_QCOW2_CHECK_COUNT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "block/qcow2/findings/report.h"
#include "block/qcow2/format/header.h"
#include "block/clusters/refmap.h"
#include "util/number.h"

typedef struct Qcow2Counting {
    const Qcow2HeaderFields *header;
    uint64_t file_end; /* length of the file in bytes, rounded up to a sector (docs/interop/check-behaviour.rst 2.7) */
    uint64_t max;      /* the greatest count that can be stored */
    RefMap *refs;
    uint64_t beyond; /* lowest offset beyond the end of the file that a table or entry refers to; UINT64_MAX = none */

    /* After qcow2_counting_finish(): cluster to references reported so far, for those beyond max; NULL = none. */
    GHashTable *overflowed;
    GHashTable *blocks_left_out; /* after qcow2_count_refcount_blocks(): clusters of blocks that are counted too low;
                                    NULL: none */
    uint64_t overflows;          /* findings of references beyond max that are still to be reported */
} Qcow2Counting;

/* Starts counting for a file of @length bytes; undone by qcow2_counting_clear(). */
void qcow2_counting_init(Qcow2Counting *c, const Qcow2HeaderFields *header, uint64_t length);
void qcow2_counting_clear(Qcow2Counting *c);

/* Returns true if the region reaches beyond the end of the file by a cluster or more; it is not counted then. */
bool qcow2_region_beyond_end(const Qcow2Counting *c, uint64_t offset, uint64_t size);

/* The clusters that the region touches and that are counted; false where there are none. */
bool qcow2_region_clusters(const Qcow2Counting *c, uint64_t offset, uint64_t size, uint64_t *first, uint64_t *n);

/* How many of the @n clusters in a row from @offset on begin below the end of the file, and so are counted. */
static inline uint64_t qcow2_clusters_inside(const Qcow2Counting *c, uint64_t offset, uint64_t n)
{
    return offset < c->file_end ? MIN(n, DIV_ROUND_UP(c->file_end - offset, c->header->cluster_size)) : 0;
}

/* Counts @weight references to each cluster that the region touches. False when memory is short. */
bool qcow2_count_region(Qcow2Counting *c, uint64_t offset, uint64_t size, uint64_t weight);

/* The same for a table or data that an entry refers to; it is noted where that lies beyond the end of the file. */
bool qcow2_count_reference(Qcow2Counting *c, uint64_t offset, uint64_t size, uint64_t weight);

/* Notes that a table or entry refers to @offset, beyond the end of the file. Any number of threads at once. */
void qcow2_note_beyond_end(Qcow2Counting *c, uint64_t offset);

/* Ends the counting: finds the counts that are too great, and lowers them to the greatest that can be stored. */
void qcow2_counting_finish(Qcow2Counting *c);

/*
 * Reports the faults of the reference at @location to the region that it names. After qcow2_counting_finish().
 * Overflows that are not reported, as the report is full or the table with the reference has changed since it was
 * counted, are counted by qcow2_report_overflows(), after all regions.
 */
void qcow2_report_region(Qcow2Counting *c, const Qcow2Location *location, Qcow2Report *report);
void qcow2_report_overflows(const Qcow2Counting *c, Qcow2Report *report);

/* Returns true if a reference to the region may have something to report. */
bool qcow2_region_reportable(const Qcow2Counting *c, uint64_t offset, uint64_t size);

/* Returns true if @cluster has more references than are counted, since more cannot be stored. */
static inline bool qcow2_count_incomplete(const Qcow2Counting *c, uint64_t cluster)
{
    return (c->overflowed && g_hash_table_contains(c->overflowed, &cluster)) ||
           (c->blocks_left_out && g_hash_table_contains(c->blocks_left_out, &cluster));
}

#endif
