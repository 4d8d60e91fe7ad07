/*
 * Table entries that have something to report, in the order of the file.
 *
 * Tables may overlap, so an entry can be part of many of them, and is reported for each. When a report is full, what is
 * left of a table is only noted here; in the end each entry is examined once, with the number of tables that left it
 * out.
 *
 * A list is a plain value: {0} is an empty one, and qcow2_slots_clear() frees what it holds. Not thread safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_CHECK_SLOT_LIST_H
#define BLOCK_QCOW2_CHECK_SLOT_LIST_H

#include <glib.h>
#include <stdint.h>

typedef struct Qcow2Slot {
    uint64_t offset; /* of the entry in the file */
    uint64_t value;
    int64_t unreported; /* by how many tables more than the entry before it was left out of the report */
} Qcow2Slot;

typedef struct Qcow2Slots {
    GArray *items; /* Qcow2Slot, sorted by offset, and one more behind the last; NULL: empty */
} Qcow2Slots;

/* Adds an entry that lies behind all that were added. */
void qcow2_slots_add(Qcow2Slots *slots, uint64_t offset, uint64_t value);
void qcow2_slots_clear(Qcow2Slots *slots);

/* How many there are. */
size_t qcow2_slots_count(const Qcow2Slots *slots);
const Qcow2Slot *qcow2_slot(const Qcow2Slots *slots, size_t i);

/* The index of the first entry at or behind @offset of the file. */
size_t qcow2_slots_find(const Qcow2Slots *slots, uint64_t offset);

/* Notes that a table left the entries [@first, @last) out of the report. */
void qcow2_slots_leave_out(Qcow2Slots *slots, size_t first, size_t last);

/* Calls @count for each entry that was left out, with the number of tables that did so, at least 1; and forgets that.
 */
void qcow2_slots_count_unreported(Qcow2Slots *slots, void (*count)(void *opaque, uint64_t value, uint64_t tables),
                                  void *opaque);

#endif
