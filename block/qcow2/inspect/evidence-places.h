/*
 * Places where a table is missing, and which of them a lost table had.
 *
 * The disk as it is now lacks a table where its L1 table has an entry of 0, or one that leads nowhere, or where two
 * entries refer to one table. What singles out one of several places is, in this order: a lost L1 table that refers to
 * the table, a snapshot that shares clusters with it, that nothing else is missing, and the order of tables in the
 * file, which is that of the ranges in images that were written in order.
 *
 * Not thread safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_INSPECT_EVIDENCE_PLACES_H
#define BLOCK_QCOW2_INSPECT_EVIDENCE_PLACES_H

#include "block/qcow2/inspect/evidence-candidates.h"
#include "block/qcow2/inspect/lost-data.h"

/* Where a lost table was, and how sure that is. */
typedef struct Qcow2Place {
    ImageCheckEvidence certainty;
    bool known;
    int tree;       /* QCOW2_TREE_ACTIVE or the index of a snapshot; where @known */
    uint64_t index; /* of the entry in its L1 table; likewise */
    bool has_likely;
    uint64_t likely; /* of several entries of the disk the likeliest; where @has_likely */
    char *reason;    /* a phrase */
} Qcow2Place;

typedef struct Qcow2Places Qcow2Places;

/* For @candidates, which are borrowed as @check is. NULL and @errp set when memory is short. */
Qcow2Places *qcow2_places_new(Qcow2Check *check, const Qcow2Candidates *candidates, GError **errp);
void qcow2_places_free(Qcow2Places *places);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Qcow2Places, qcow2_places_free)

/* Returns true if the L1 table has no table that could be shown to a guest, for all of the disk. */
bool qcow2_places_all_empty(const Qcow2Places *places);

/*
 * Where the table in candidate @i was. False for a table in use of which nothing but its count says that another entry
 * refers to it. The caller frees the reason.
 */
bool qcow2_find_place(const Qcow2Places *places, size_t i, Qcow2Place *place);

/* The same of candidate @i where a lost L1 or snapshot table refers to it; else false. */
bool qcow2_find_owner(const Qcow2Places *places, size_t i, Qcow2Place *place);

/* Whether that is so. */
bool qcow2_is_owned(const Qcow2Places *places, size_t i);

/* Whether there is a place for a table in use, or a lost L1 table refers to it: as above, and without a reason. */
bool qcow2_place_exists(const Qcow2Places *places, size_t i);

#endif
