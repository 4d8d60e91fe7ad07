/*
 * Lost data: what leaked clusters are thought to be, and which of them are to be kept. Values only; evidence.h finds
 * them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_INSPECT_LOST_DATA_H
#define BLOCK_QCOW2_INSPECT_LOST_DATA_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "block/clusters/refmap.h"
#include "qapi/qapi-types.h"

#define QCOW2_MAX_EVIDENCE 4096 /* lost tables that are named one by one */

typedef enum Qcow2EvidenceKind {
    QCOW2_EVIDENCE_L2,             /* a leaked L2 table */
    QCOW2_EVIDENCE_L2_USER,        /* an L2 table in use has lost a reference */
    QCOW2_EVIDENCE_L1,             /* a leaked L1 table */
    QCOW2_EVIDENCE_SNAPSHOT_TABLE, /* likewise, and the L1 table that it refers to is leaked too */
    QCOW2_EVIDENCE_EMPTIED,        /* entries of an L2 table in use are zeros */
    QCOW2_EVIDENCE_CUT_OFF,        /* a table in use goes on behind the end of the file */
} Qcow2EvidenceKind;

typedef struct Qcow2Evidence {
    Qcow2EvidenceKind kind;
    ImageCheckEvidence certainty;
    ImageCheckStructure structure; /* of what is cut off */
    uint64_t offset;               /* of the table in the file, bytes */
    uint64_t size;                 /* bytes */
    uint64_t named;                /* clusters that its entries refer to */
    uint64_t lost;     /* those of them with a surplus; of an emptied table, leaked clusters that it may have mapped */
    bool has_entry;    /* where its L1 entry is: */
    uint64_t l1_index; /* its index */
    uint64_t entry_offset;
    int tree;        /* QCOW2_TREE_ACTIVE or the index of a snapshot */
    bool has_likely; /* of several places without a table one is the likeliest: */
    uint64_t likely; /* the L1 entry of the disk with this index */
    bool has_guest;
    uint64_t guest_offset; /* the range that it maps, bytes; may reach beyond the end of the disk */
    uint64_t guest_size;
    bool of_snapshot;       /* a lost snapshot table refers to this L1 table */
    uint64_t first_cluster; /* of an emptied table: @lost clusters that leak among [first, end) may have been mapped */
    uint64_t end_cluster;   /* in the order of the file; 0: by no order that is known */
    bool at_end;            /* they were at the end of @guest, not at its beginning */
    bool anywhere;          /* it is not among the reasons for which they are counted in Qcow2LostData.kept */
    char *reason;           /* why it is thought to be that, a phrase */
} Qcow2Evidence;

typedef struct Qcow2LostData {
    GArray *items;       /* Qcow2Evidence, by kind and offset; QCOW2_MAX_EVIDENCE of them at most */
    uint64_t unlisted;   /* lost tables beyond that */
    bool everything;     /* all that leaks is to be kept */
    RefMap *kept;        /* 1 or more for each cluster to be kept; where @everything is, not all of them */
    uint64_t n_kept;     /* clusters */
    uint64_t n_blocks;   /* those of them that look like a refcount block that is missing */
    uint64_t unreadable; /* those of them that could not be read */
} Qcow2LostData;

/* No lost data: nothing is kept, of @clusters clusters. */
void qcow2_lost_data_init(Qcow2LostData *lost, uint64_t clusters);
void qcow2_lost_data_clear(Qcow2LostData *lost);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Qcow2LostData, qcow2_lost_data_clear)

/* What @evidence is, as a line for people. It may have a name from the image in it, unescaped. The caller frees it. */
char *qcow2_evidence_text(const Qcow2Evidence *evidence);

/* The part of it that tells what it mapped, and why that is thought: a sentence. Likewise. */
char *qcow2_evidence_origin(const Qcow2Evidence *evidence);

#endif
