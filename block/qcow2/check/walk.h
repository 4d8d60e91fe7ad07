/*
 * Walking the trees of an image: every distinct L2 table is read and decoded once, and weighs as much as there
 * are references to it from the active and the snapshots' L1 tables.
 *
 * What is wrong with an entry is kept by the table it is in, for qcow2/check/tree-report.h.
 *
 * Not thread safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_CHECK_WALK_H
#define BLOCK_QCOW2_CHECK_WALK_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "block/qcow2/check/count.h"
#include "block/qcow2/load/refcount-blocks.h"
#include "block/qcow2/check/table-count.h"
#include "block/qcow2/check/table-list.h"
#include "block/qcow2/load/tables.h"

typedef struct Qcow2Walk Qcow2Walk;

/*
 * A walk over the L1 tables @l1_tables, which are loaded. All that is passed is borrowed, but for @options, which are
 * copied. At most @max_faults faults of entries (0: any number) are kept in full; of others only the number is known.
 */
Qcow2Walk *qcow2_walk_new(BlockSource *source, const Qcow2Tables *l1_tables, const Qcow2StoredCounts *stored,
                          Qcow2Counting *counting, const BlockReadOptions *options, uint64_t max_faults);
void qcow2_walk_free(Qcow2Walk *walk);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Qcow2Walk, qcow2_walk_free)

/*
 * An observer of the walk: it sees each table once, as it is decoded. Called by several threads at once, each of which
 * has a number @worker less than BLOCK_MAX_WORKERS. Tables that could not be read, or are known to be zeros without
 * reading, are not shown. False ends everything: memory is short.
 */
typedef bool Qcow2VisitTable(void *opaque, unsigned worker, const Qcow2TableRef *table, const uint8_t *bytes,
                             const Qcow2L2Result *contents);

typedef struct Qcow2TableVisitor {
    Qcow2VisitTable *visit;
    void *opaque;
} Qcow2TableVisitor;

/*
 * Counts all L2 tables and what they refer to, and shows them to @visitors, which ends with NULL, or is NULL where
 * there are none. False and @errp set when memory is short.
 */
bool qcow2_walk_count(Qcow2Walk *walk, const Qcow2TableVisitor *const *visitors, GError **errp);

/* Reads and shows all tables once more: for what can be asked only when everything is counted. */
bool qcow2_walk_visit(Qcow2Walk *walk, const Qcow2TableVisitor *visitor, GError **errp);

/* The distinct tables, sorted by offset, once they are counted. */
const Qcow2TableRef *qcow2_walk_tables(const Qcow2Walk *walk, size_t *n);

/* Makes ready for reporting, once the counting is finished. */
bool qcow2_walk_finish(Qcow2Walk *walk, GError **errp);

/* Returns true if an L2 entry is wrong, or an L2 table unreadable. After qcow2_walk_count(). */
bool qcow2_walk_any_fault(const Qcow2Walk *walk);

/*
 * The faults of the table at @offset, NULL where there are none. Where some are only numbers, and all are wanted
 * @in_full, the table is decoded again; they remain numbers if that fails. Good until the next call. After
 * qcow2_walk_finish().
 */
const Qcow2TableFaults *qcow2_walk_faults(Qcow2Walk *walk, uint64_t offset, bool in_full);

/* Removes the faults of the table at @offset whose kinds are in @kinds, a set of QCOW2_FINDING_BIT(). */
void qcow2_walk_forget_faults(Qcow2Walk *walk, uint64_t offset, uint64_t kinds);

/* Why the table at @offset could not be read, a positive errno value; 0 where it could. */
int qcow2_walk_table_error(const Qcow2Walk *walk, uint64_t offset);

/* How many tables were skipped. */
uint64_t qcow2_walk_skipped(const Qcow2Walk *walk);

Qcow2Statistics qcow2_walk_statistics(const Qcow2Walk *walk);

#endif
