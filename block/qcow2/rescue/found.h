/*
 * What a rescue finds in a file, before it decides anything: tables, reference counts, remains of the header,
 * snapshots.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_RESCUE_FOUND_H
#define BLOCK_QCOW2_RESCUE_FOUND_H

#include "block/qcow2/rescue/geometry.h"

/* The source of a rescue and, if there is one, an earlier copy of its metadata. */
typedef struct Qcow2RescueInput {
    BlockSource *source;
    BlockSource *metadata; /* NULL: none */
    BlockReadOptions options;
} Qcow2RescueInput;

typedef struct Qcow2FoundSnapshot {
    uint64_t l1_offset; /* cluster aligned, within the file */
    uint32_t l1_size;   /* entries */
    uint64_t disk_size; /* bytes; 0: not stored */
    bool has_vm_state;
} Qcow2FoundSnapshot;

typedef struct Qcow2Found {
    const Qcow2RescueInput *in;
    Qcow2Remains remains;          /* of the source */
    Qcow2Remains metadata_remains; /* of the copy of the metadata, whose header is whole */
    Qcow2Scan scan;
    Qcow2Geometry geometry;
    Qcow2StoredCounts *counts; /* NULL: unknown */
    GArray *snapshots;         /* Qcow2FoundSnapshot, as in the table */
    uint64_t snapshots_offset; /* of their table; 0: there is none */
    GHashTable *referents;     /* of qcow2_found_referent(): offsets (uint64_t) and what was found there */
} Qcow2Found;

/* Reads all of the source, but finds no snapshots (snapshots.h). False and @errp set if there is nothing to go by, or
 * when memory is short. */
bool qcow2_find(const Qcow2RescueInput *in, Qcow2Found *found, GError **errp);
void qcow2_found_clear(Qcow2Found *found);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Qcow2Found, qcow2_found_clear)

static inline const Qcow2HeaderFields *qcow2_found_header(const Qcow2Found *found)
{
    return &found->geometry.header;
}

/* Bytes of the guest's disk that one L2 table maps. */
static inline uint64_t qcow2_table_reach(const Qcow2HeaderFields *h)
{
    return h->cluster_size << h->l2_bits;
}

/* The stored count of the cluster at @offset; UINT64_MAX if it is unknown. */
uint64_t qcow2_found_count(const Qcow2Found *found, uint64_t offset);

/* Returns true if the cluster at @offset has references, or if that is unknown. */
static inline bool qcow2_found_in_use(const Qcow2Found *found, uint64_t offset)
{
    return qcow2_found_count(found, offset) > 0;
}

/* What an entry of an L1 table leads to. */
typedef enum Qcow2Referent {
    QCOW2_REFERENT_OTHER, /* no L2 table */
    QCOW2_REFERENT_BLANK, /* a cluster of zeros, which may have been one */
    QCOW2_REFERENT_TABLE,
} Qcow2Referent;

/* Reads the cluster at @offset if it was not found to be a table: it may be one that has flags only. */
Qcow2Referent qcow2_found_referent(const Qcow2Found *found, uint64_t offset);

/*
 * The @n entries of the L1 table at @offset of @source, in host byte order: offsets and flags, 0 for those that cannot
 * be. Behind the end of the file are zeros. At most QCOW2_MAX_L1_ENTRIES. The caller frees them; NULL when they cannot
 * be read.
 */
uint64_t *qcow2_read_l1(BlockSource *source, const Qcow2HeaderFields *header, uint64_t offset, uint32_t n);

#endif
