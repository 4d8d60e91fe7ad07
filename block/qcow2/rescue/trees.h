/*
 * Trees: which L1 table is that of the disk, and what it and those of the snapshots refer to.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_RESCUE_TREES_H
#define BLOCK_QCOW2_RESCUE_TREES_H

#include "block/qcow2/rescue/found.h"
#include "qapi/qapi-types.h"

/* A place for an L2 table: an entry of the L1 table that is made. */
typedef struct Qcow2Slot {
    uint64_t table;         /* offset of the L2 table in the source; 0: none */
    ImageRescueClass class; /* of the place; missing where there is no table */
    bool blank;             /* the table is all zeros */
    bool known_empty;       /* the L1 table has no table here */
    bool restored;          /* the table is made from the copy of the metadata */
} Qcow2Slot;

typedef struct Qcow2SnapshotL1 {
    uint64_t *entries;
    uint32_t n;
} Qcow2SnapshotL1;

typedef struct Qcow2Trees {
    GArray *slots;           /* Qcow2Slot */
    GArray *snapshots;       /* Qcow2SnapshotL1, one for each of @found */
    GArray *snapshot_tables; /* uint64_t, sorted: offsets of the L2 tables of these, one for each reference */
    uint64_t l1_offset;      /* of the L1 table of the disk; 0: it is lost */
    uint32_t l1_size;        /* its entries */
    uint64_t size;           /* of the disk, in bytes */
    bool size_known;         /* it was stored somewhere */
    bool header_sound;       /* the remains of the header agree with what was found: what else they say is believed */
    char *size_from;         /* where the size comes from, a phrase */
} Qcow2Trees;

/* Sets all but the size of the disk (disk-size.h). */
void qcow2_find_trees(const Qcow2Found *found, Qcow2Trees *trees);
void qcow2_trees_clear(Qcow2Trees *trees);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Qcow2Trees, qcow2_trees_clear)

/* How many L1 tables of snapshots refer to the L2 table at @offset. */
unsigned qcow2_trees_snapshot_refs(const Qcow2Trees *trees, uint64_t offset);

/* Makes room for slot @i, and returns it. */
Qcow2Slot *qcow2_trees_slot(Qcow2Trees *trees, uint64_t i);

#endif
