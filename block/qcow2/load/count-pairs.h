/*
 * Stored reference counts and another map of counts side by side, stretch by stretch.
 *
 * A stretch lies in one piece of either side, so what differs in it is found at the speed of memory
 * (counters_mismatch()). Clusters for which neither side has anything are passed over.
 *
 * A walk is a plain value that borrows both maps; there is nothing to free. Not thread safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_LOAD_COUNT_PAIRS_H
#define BLOCK_QCOW2_LOAD_COUNT_PAIRS_H

#include "block/clusters/refmap.h"
#include "block/qcow2/load/refcount-blocks.h"

/* Clusters [first, first + n). */
typedef struct Qcow2CountStretch {
    uint64_t first;
    size_t n;               /* at least 1; within a piece of the other map */
    const Counters *stored; /* NULL: unknown */
    size_t stored_at;       /* index of the first cluster in it */
    const Counters *other;
    size_t other_at;
} Qcow2CountStretch;

typedef struct Qcow2CountPairs {
    const Qcow2StoredCounts *stored;
    const RefMap *other;
    uint64_t end;        /* the cluster behind the last */
    uint64_t next_other; /* up to it the other map has no piece, as a look at empty directories has found */
} Qcow2CountPairs;

/* Of the clusters before @end, as far as the other map reaches. */
static inline Qcow2CountPairs qcow2_count_pairs(const Qcow2StoredCounts *stored, const RefMap *other, uint64_t end)
{
    return (Qcow2CountPairs){.stored = stored, .other = other, .end = MIN(end, refmap_clusters(other))};
}

/*
 * The next stretch at or behind cluster @at in which anything is stored or counted. False where there is none. @at
 * never gets less from call to call.
 */
bool qcow2_count_pairs_next(Qcow2CountPairs *pairs, uint64_t at, Qcow2CountStretch *stretch);

/* The clusters from the first of @stretch on, also behind it, for which the other map has nothing. */
uint64_t qcow2_count_pairs_unused(Qcow2CountPairs *pairs, const Qcow2CountStretch *stretch);

/*
 * The clusters of @stretch from number @i on, at least 1, that have the same two counts. *stored is 0 where it is not
 * known.
 */
size_t qcow2_count_stretch_same(const Qcow2CountStretch *stretch, size_t i, uint64_t *stored, uint64_t *other);

#endif
