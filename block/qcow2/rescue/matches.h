/*
 * Matches: lost L2 tables that share clusters, at the same index, with tables whose place is known.
 *
 * That is how the disk and a snapshot, or the disk and an earlier copy of its metadata, map what was not written to
 * since.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_RESCUE_MATCHES_H
#define BLOCK_QCOW2_RESCUE_MATCHES_H

#include "block/qcow2/rescue/trees.h"

typedef struct Qcow2Match {
    uint64_t index;  /* in an L1 table, of what shares clusters with it */
    bool same_table; /* that is at the same offset */
    bool conflict;   /* it shares clusters with tables of several indices */
    unsigned shared; /* of the clusters that were looked up */
    unsigned looked_up;
} Qcow2Match;

/*
 * Compares a few clusters of each of @lost (const Qcow2FoundTable *) with all of @known (Qcow2TableToRead, with the
 * index as key), tables in @source. Returns a Qcow2Match for each of @lost; NULL and @errp set when memory is short.
 */
GArray *qcow2_match_tables(const Qcow2Found *found, const GPtrArray *lost, BlockSource *source, GArray *known,
                           GError **errp);

/* Adds the tables of the L1 table with the @n entries at @entries to @known. */
void qcow2_add_known_tables(GArray *known, const uint64_t *entries, uint32_t n);

#endif
