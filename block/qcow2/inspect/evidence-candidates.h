/*
 * Candidates: leaked clusters that have the form of an L2, L1 or snapshot table and refer to clusters with a surplus,
 * and L2 tables that are in use and have a surplus themselves, where a tree lacks a table at their index, or one of the
 * leaked clusters lists tables.
 *
 * All leaked clusters are looked at. The first 512 bytes of each dismiss nearly all; the others are read whole. They
 * are read in the order of the file, with a prefetch, on all threads.
 *
 * Memory: some 50 bytes for each candidate, of which there are QCOW2_MAX_CANDIDATES at most.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_INSPECT_EVIDENCE_CANDIDATES_H
#define BLOCK_QCOW2_INSPECT_EVIDENCE_CANDIDATES_H

#include "block/clusters/ranges.h"
#include "block/qcow2/check/check.h"

#define QCOW2_MAX_CANDIDATES (1u << 20)

typedef struct Qcow2Candidate {
    uint64_t cluster;
    uint32_t named;      /* references in its entries */
    uint32_t surplus;    /* those of them that lead to clusters with a surplus */
    uint32_t last_entry; /* index of the last entry that refers to a cluster, as an L2 table */
    bool may_be_l1;
    bool may_be_l2;
    bool snapshot_table; /* else it is the beginning of a snapshot table */
    bool in_use;         /* an L2 table of the image, which has a surplus itself */
    bool flags_wrong;    /* as an L2 table of the disk as it is now it would have other COPIED flags */
    bool copied;         /* some of its entries have that flag, and lead to clusters with a surplus */
    bool scattered;      /* its clusters do not lie in its order: the guest did not write in order */
    bool may_be_counts;  /* it refers to nothing, and its entries are counts of 0 and 1 just as well */
} Qcow2Candidate;

typedef struct Qcow2Candidates {
    GArray *items;  /* Qcow2Candidate, sorted by cluster; each may be one kind of table only */
    GArray *unread; /* Qcow2ClusterRange: leaked clusters that could not be read */
    bool too_many;  /* there are more, behind these in the file */
} Qcow2Candidates;

/* False and @errp set when memory is short. */
bool qcow2_find_candidates(const Qcow2Check *check, Qcow2Candidates *candidates, GError **errp);
void qcow2_candidates_clear(Qcow2Candidates *candidates);

/* The candidate in @cluster; NULL where there is none. */
const Qcow2Candidate *qcow2_candidate_at(const Qcow2Candidates *candidates, uint64_t cluster);

/*
 * Reads those candidates once more that @wants, on all threads: @visit gets the bytes of each, and what an L2 table
 * decodes to. False ends everything: memory is short.
 */
typedef struct Qcow2CandidateVisitor {
    bool (*wants)(const void *opaque, size_t i, const Qcow2Candidate *candidate);
    bool (*visit)(void *opaque, size_t i, const uint8_t *bytes, const Qcow2L2Result *contents);
    void *opaque;
} Qcow2CandidateVisitor;

bool qcow2_visit_candidates(const Qcow2Check *check, const Qcow2Candidates *candidates,
                            const Qcow2CandidateVisitor *visitor);

#endif
