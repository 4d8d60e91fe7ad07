/*
 * Counting what one L2 table refers to, on one of several threads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_CHECK_TABLE_COUNT_H
#define BLOCK_QCOW2_CHECK_TABLE_COUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "block/qcow2/check/count.h"
#include "block/qcow2/check/faults.h"
#include "block/qcow2/check/table-list.h"
#include "block/qcow2/load/l2-result.h"
#include "block/qcow2/load/refcount-blocks.h"

/* Guest clusters of the active tree. */
typedef struct Qcow2Statistics {
    uint64_t allocated;
    uint64_t compressed;
    uint64_t fragmented;
} Qcow2Statistics;

/* What a thread needs for it; but for the counts and the stored counts, all is its own. */
typedef struct Qcow2TableCounter {
    const Qcow2HeaderFields *header;
    const Qcow2StoredCounts *stored;
    Qcow2Counting *counting;
    RefMapWriter *writer;
    Qcow2L2Result *result;
    Qcow2Faults *faults;
    Qcow2Statistics statistics;
} Qcow2TableCounter;

/* NULL when memory is short. @quota: qcow2_faults_new(). */
Qcow2TableCounter *qcow2_table_counter_new(const Qcow2StoredCounts *stored, Qcow2Counting *counting, uint64_t *quota);
void qcow2_table_counter_free(Qcow2TableCounter *counter);

/* Counts what the table with @bytes refers to, and keeps what is wrong with it. False when memory is short. */
bool qcow2_count_table(Qcow2TableCounter *counter, const Qcow2TableRef *table, const uint8_t *bytes);

/* Keeps which entries refer to clusters that have more references than can be stored. After qcow2_counting_finish(). */
void qcow2_find_table_overflows(Qcow2TableCounter *counter, const Qcow2TableRef *table, const uint8_t *bytes);

/* Keeps all that is wrong with the table, and counts nothing: what both functions above keep. */
void qcow2_find_table_faults(Qcow2TableCounter *counter, const Qcow2TableRef *table, const uint8_t *bytes);

#endif
