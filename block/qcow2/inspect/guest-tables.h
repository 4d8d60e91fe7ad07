/*
 * The L2 tables of the active disk, one after the other in the order of the disk.
 *
 * Each is read when it is its turn, and one is held. Not thread safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_INSPECT_GUEST_TABLES_H
#define BLOCK_QCOW2_INSPECT_GUEST_TABLES_H

#include "block/qcow2/load/image.h"

typedef struct Qcow2GuestTables {
    BlockSource *source; /* borrowed, as the header is */
    const Qcow2HeaderFields *header;
    uint64_t *l1; /* host byte order */
    uint64_t n_l1;
    uint8_t *table; /* the one that was loaded last */
    uint64_t loads; /* that are left: more tables than the file has clusters are used twice */
} Qcow2GuestTables;

/* What an entry means for whoever reads the disk. */
typedef enum Qcow2GuestState {
    QCOW2_GUEST_BELOW, /* the image below has it */
    QCOW2_GUEST_ZERO,
    QCOW2_GUEST_DATA,
} Qcow2GuestState;

/* False and @errp set if the L1 table cannot be read or memory is short. The caller clears @tables in any case. */
bool qcow2_guest_tables_open(Qcow2GuestTables *tables, const Qcow2Image *image, GError **errp);
void qcow2_guest_tables_clear(Qcow2GuestTables *tables);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Qcow2GuestTables, qcow2_guest_tables_clear)

/* The first L1 entry at or behind @index that leads to a table; n_l1 where there is none. */
uint64_t qcow2_guest_tables_next(const Qcow2GuestTables *tables, uint64_t index);

/* Loads the table of L1 entry @index, which has one. False and @errp set if it cannot be read, or was likely before. */
bool qcow2_guest_tables_load(Qcow2GuestTables *tables, uint64_t index, GError **errp);

/* Entry @index of the table that was loaded: its first word, and its state; of subclusters, the most that one has. */
uint64_t qcow2_guest_entry(const Qcow2GuestTables *tables, uint64_t index);
Qcow2GuestState qcow2_guest_state(const Qcow2GuestTables *tables, uint64_t index);

#endif
