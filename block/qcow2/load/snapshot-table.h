/*
 * The snapshot table (docs/interop/qcow2-format.rst 9, docs/interop/check-behaviour.rst 3.1).
 *
 * A damaged table is read as far as its entries are plausible: its faults are reported, and the snapshots before them,
 * and plausible ones behind them, are returned. If the length of an entry cannot be right, the next plausible entry
 * gives the true length.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_LOAD_SNAPSHOT_TABLE_H
#define BLOCK_QCOW2_LOAD_SNAPSHOT_TABLE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "block/qcow2/findings/report.h"
#include "block/qcow2/format/header.h"
#include "block/source.h"

typedef struct Qcow2Snapshot {
    uint64_t entry_offset;    /* of its entry in the file */
    uint64_t l1_table_offset; /* unchecked */
    uint32_t l1_size;         /* entries, unchecked */
    uint32_t extra_data_size; /* bytes, as stored */
    char *id;                 /* as stored, up to the first NUL */
    char *name;

    /* for writing the table anew */
    uint64_t strings;    /* offset of the ID in the file; the name follows */
    uint32_t extra_kept; /* bytes of extra data that are there and may be kept */
    uint16_t id_size;
    uint16_t name_size;
} Qcow2Snapshot;

typedef struct Qcow2Snapshots {
    GArray *items;         /* Qcow2Snapshot */
    uint64_t table_length; /* bytes, from the first entry to the end of the last one's name; 0 = no table */
    bool complete;         /* all entries that can be kept are there, so that the table can be written anew */
    bool there;            /* all of it lies in the file, and it was not zeros that were read as entries */
} Qcow2Snapshots;

/* Reads the table that @header points at and reports its faults. */
void qcow2_read_snapshots(BlockSource *source, const Qcow2HeaderFields *header, Qcow2Snapshots *snapshots,
                          Qcow2Report *report);
void qcow2_snapshots_clear(Qcow2Snapshots *snapshots);

/* Returns true if the entry is all zeros: the table is not where the header points. */
bool qcow2_snapshot_is_zeros(const Qcow2Snapshot *snapshot);

/*
 * Returns the offsets of L1 tables (uint64_t) in unlisted entries: bytes with the form of an entry in the clusters of
 * the table, behind an entry with a damaged length or more than the header counts.
 */
GArray *qcow2_snapshots_unlisted(BlockSource *source, const Qcow2HeaderFields *header, const Qcow2Snapshots *snapshots);

/* Where @snapshot's L1 table can be followed: cluster aligned and not larger than any may be. */
bool qcow2_snapshot_l1_valid(const Qcow2Snapshot *snapshot, const Qcow2HeaderFields *header);

#endif
