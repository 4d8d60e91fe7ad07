/*
 * One entry of the snapshot table: its bytes, and whether they can be an entry.
 *
 * An entry whose length cannot be right is recovered from where the next one is. An entry without an L1 table is sound
 * if the disk of the snapshot has 0 bytes; else it is the trace of a snapshot whose L1 table is not known.
 *
 * Not thread safe. Offsets and sizes are bytes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_LOAD_SNAPSHOT_ENTRY_H
#define BLOCK_QCOW2_LOAD_SNAPSHOT_ENTRY_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "block/qcow2/format/header.h"
#include "block/source.h"

typedef struct Qcow2Snapshot {
    uint64_t entry_offset;    /* of its entry in the file */
    uint64_t l1_table_offset; /* unchecked */
    uint32_t l1_size;         /* entries, unchecked */
    uint32_t extra_data_size; /* bytes, as stored */
    uint32_t date_sec;        /* since 1970, as stored */
    char *id;                 /* as stored, up to the first NUL */
    char *name;
    bool lost_tree; /* neither an L1 table nor entries of one, though its disk has bytes */

    /* for writing the table anew */
    uint64_t strings;    /* offset of the ID in the file; the name follows */
    uint32_t extra_kept; /* bytes of extra data that are there and may be kept */
    uint16_t id_size;
    uint16_t name_size;
} Qcow2Snapshot;

/* Returns true if the entry is all zeros: the table is not where the header points. */
bool qcow2_snapshot_is_zeros(const Qcow2Snapshot *snapshot);

/* Returns true if @snapshot's L1 table can be followed: it is aligned, and no larger than any may be. */
bool qcow2_snapshot_l1_valid(const Qcow2Snapshot *snapshot, const Qcow2HeaderFields *header);

/* Reads the bytes of entries, some of them ahead. {.source, .header} is a new one. */
typedef struct SnapshotReader {
    BlockSource *source;
    const Qcow2HeaderFields *header;
    GByteArray *window; /* bytes of the file from window_offset on; NULL = nothing is read yet */
    uint64_t window_offset;
    bool failed; /* a read has */
} SnapshotReader;

void snapshot_reader_clear(SnapshotReader *r);

/* The @size bytes at @offset of the file; NULL and *error set (negative errno value) when they cannot be read. */
const uint8_t *snapshot_peek(SnapshotReader *r, uint64_t offset, size_t size, int *error);

/* Reads the fixed part of the entry at @at, of which no byte need be there: returns 0 or a negative errno value. */
int snapshot_read_fixed(SnapshotReader *r, uint64_t at, Qcow2Snapshot *s);

/* The same where all of it has to lie in the file: false if it does not, or cannot be read. */
bool snapshot_parse(SnapshotReader *r, uint64_t at, Qcow2Snapshot *s);

/* Returns true if the ID of @s, behind the extra data that its entry claims, consists of visible characters. */
bool snapshot_has_id(SnapshotReader *r, const Qcow2Snapshot *s);

/* Returns true if @s has an L1 table that can be followed. */
bool snapshot_has_tree(const SnapshotReader *r, const Qcow2Snapshot *s);

/* Returns true if @s has neither an L1 table nor entries of one. */
bool snapshot_has_no_tree(const Qcow2Snapshot *s);

/* Returns true if @s has no L1 table, and a disk, or entries of a table, that need one. */
bool snapshot_lost_tree(SnapshotReader *r, const Qcow2Snapshot *s);

/* Returns true if there is an entry at @at: with an ID, and an L1 table in the file or none at all. */
bool snapshot_is_entry(SnapshotReader *r, uint64_t at);

/*
 * Finds out where the strings of @s are, whose extra data is too large or damaged, and where the next entry begins:
 * *next, 0 where it cannot be found. False where the strings cannot be. @last: no entry follows.
 */
bool snapshot_recover(SnapshotReader *r, Qcow2Snapshot *s, bool last, uint64_t *next);

#endif
