/*
 * The likeliest place of each lost table that may have had several.
 *
 * Tables are allocated when their range is first written to, so the order of tables in the file is mostly that of the
 * ranges. A table is put where it lies between those of the ranges before and behind; else where there is any place.
 *
 * Pure, no I/O.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_INSPECT_EVIDENCE_LIKELY_H
#define BLOCK_QCOW2_INSPECT_EVIDENCE_LIKELY_H

#include "block/qcow2/inspect/evidence-candidates.h"

/* A row of L1 entries of the disk without a table. */
typedef struct Qcow2MissingRow {
    uint64_t first; /* index */
    uint64_t n;
    uint64_t before;  /* offset of the table of the entry before; 0: none */
    uint64_t behind;  /* that of the entry behind; UINT64_MAX: none */
    uint64_t fitting; /* lost tables that lie between the two */
} Qcow2MissingRow;

/* Whether a table at @offset lies between those of the entries around @row. */
static inline bool qcow2_missing_row_fits(const Qcow2MissingRow *row, uint64_t offset)
{
    return row->before < offset && offset < row->behind;
}

/* Whether the lost table @c maps nothing behind the end of the disk where it is that of L1 entry @index. */
bool qcow2_place_possible(const Qcow2HeaderFields *header, const Qcow2Candidate *c, uint64_t index);

/*
 * Tables that were allocated in any order may look as if they had been in that of the ranges. Returns true if that
 * would be a great coincidence: of all orders of the @n_used tables in use and the lost ones that fit into @rows, few
 * look so. Two orders that differ within a row only look alike.
 */
bool qcow2_order_tells(const GArray *rows, uint64_t n_used);

/* "L1 entries 1, 2, 3, 4 and 5 more have no table", of @n_empty in @rows; the caller frees it. */
char *qcow2_missing_text(const GArray *rows, uint64_t n_empty);

/* That two L1 entries refer to @table, and how one of them gets the lost table at @offset; the caller frees it. */
char *qcow2_shared_text(const uint64_t indexes[2], uint64_t table, uint64_t offset);

/*
 * For each of @lost, uint64_t: numbers of @candidates in their order, the L1 index that is likeliest, UINT64_MAX where
 * there is none left. No index is that of two. @rows are Qcow2MissingRow.
 */
GArray *qcow2_likely_places(const Qcow2HeaderFields *header, const GArray *rows, const GArray *candidates,
                            const GArray *lost);

#endif
