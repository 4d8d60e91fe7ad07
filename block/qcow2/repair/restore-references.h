/*
 * References that a restore is about to add: to tables that are lost, and to all that those refer to.
 *
 * They are collected before anything is added to the list of edits, and a table is refused as a whole where one of its
 * entries leads to what is used by somebody else. A count that has room for a reference, as that of what is lost has,
 * stays; a count that was lost, too, rises. So no count that is right for what is in use changes, and nothing that is
 * in use gets another user.
 *
 * Not thread safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_REPAIR_RESTORE_REFERENCES_H
#define BLOCK_QCOW2_REPAIR_RESTORE_REFERENCES_H

#include "block/qcow2/repair/allocate.h"

typedef struct NewReferences {
    Allocator *alloc;
    const TargetCounts *targets;
    RefMap *added;           /* how many to each cluster */
    GArray *log;             /* Qcow2ClusterRange: those for what is looked at, to be taken back if it is refused */
    Qcow2L2Result *contents; /* of the table that is looked at */
    uint8_t *bytes;          /* its bytes, one cluster */
} NewReferences;

/* Why a table was refused. */
typedef struct Refusal {
    const char *why; /* a phrase; NULL: it was not */
    uint64_t offset; /* what it is about in the file, bytes */
} Refusal;

/* None yet. False when memory is short. Cleared in any case by new_references_clear(). */
bool new_references_init(NewReferences *n, Allocator *alloc);
void new_references_clear(NewReferences *n);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(NewReferences, new_references_clear)

/*
 * Adds @weight references to the L2 table at @offset, and as many to all that its entries refer to, or sets *refusal.
 * False and @errp set when memory is short.
 */
bool new_references_add_l2(NewReferences *n, uint64_t offset, uint64_t weight, Refusal *refusal, GError **errp);

/* The same of the L1 table of @entries at @offset, and of all tables below it. */
bool new_references_add_l1(NewReferences *n, uint64_t offset, uint64_t entries, Refusal *refusal, GError **errp);

/* The same of @weight references to one cluster that leaks, and has data of a guest. */
bool new_references_add_data(NewReferences *n, uint64_t cluster, uint64_t weight, Refusal *refusal, GError **errp);

/* What @cluster will have been counted as when they are there. */
uint64_t new_references_count(const NewReferences *n, uint64_t cluster);

/* Returns true if a reference to @cluster is to be added. */
bool new_references_has(const NewReferences *n, uint64_t cluster);

/* Adds the edit that sets the COPIED flags of the L2 table at @offset right, where it is not in use and they are not.
 */
void new_references_add_flags(NewReferences *n, Edits *edits, uint64_t offset, const Edit *like);

/* Wants counts for all of them; allocator_add_counts() then adds the edits. */
bool new_references_want_counts(NewReferences *n, GError **errp);

#endif
