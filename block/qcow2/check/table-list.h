/*
 * Which L2 tables an image has: a list of all that its L1 tables refer to, each once, in the order of the file.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_CHECK_TABLE_LIST_H
#define BLOCK_QCOW2_CHECK_TABLE_LIST_H

#include <glib.h>
#include <stdint.h>

#include "block/qcow2/load/tables.h"

/* A distinct L2 table. */
typedef struct Qcow2TableRef {
    uint64_t offset;
    uint64_t slot;        /* where in the file one L1 entry lies that refers to it; of the active table if any does */
    uint64_t weight;      /* references from all L1 tables */
    uint64_t active : 63; /* references from the active one */
    uint64_t skipped : 1; /* it is one too many of those that overlap: it is not read */
} Qcow2TableRef;

static inline Qcow2TableRef *qcow2_table_ref(const GArray *tables, size_t i)
{
    return &g_array_index(tables, Qcow2TableRef, i);
}

/* All L2 tables that @l1_tables, which are loaded, refer to: Qcow2TableRef, sorted by offset, without doubles. */
GArray *qcow2_table_refs_new(const Qcow2Tables *l1_tables);

/* Sorts @tables and puts those that are equal together, with the sum of their weights. */
void qcow2_table_refs_sort(GArray *tables);

/*
 * Marks unaligned tables as skipped where too many overlap, and returns their number. No guest reads through one, but
 * the stock tool counts what is in it. So does this check, though not at each 512 bytes of the file: a byte is examined
 * once for an aligned table, and LIMIT_UNALIGNED_L2 times for others. Those that are skipped are corruptions in any
 * case.
 */
uint64_t qcow2_table_refs_skip(GArray *tables, uint64_t cluster_size);

/* The table at @offset; NULL where @tables, which are sorted, have none. */
const Qcow2TableRef *qcow2_table_refs_find(const GArray *tables, uint64_t offset);

#endif
