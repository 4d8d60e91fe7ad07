/*
 * Reference counters: one counter a host cluster, counted while the metadata is walked.
 *
 * Counters live in pieces (counters.h) that exist once something in them is counted, below a directory that is
 * a radix tree: memory follows what is counted, not the length of the file, which may be all holes.
 *
 * Any number of threads may count at once, with refmap_add() or with a writer each; everything else is for one
 * thread when counting is over. Functions that may allocate return false when memory is short.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_CLUSTERS_REFMAP_H
#define BLOCK_CLUSTERS_REFMAP_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "block/clusters/counters.h"

typedef struct RefMap RefMap;

/* A map for a file of @clusters clusters (0 .. 2^54). It can grow to twice that at least, see refmap_add(). */
RefMap *refmap_new(uint64_t clusters);

/*
 * A map of labels instead: a cluster has the label of its users as long as all of them have the same. Adding is
 * counters_join(), and a weight is a label, 1 or more. @several stands for different labels, and is greater than all
 * that are to be distinguished.
 */
RefMap *refmap_new_labels(uint64_t clusters, uint64_t several);

void refmap_free(RefMap *map);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RefMap, refmap_free)

/*
 * The length of the map in clusters: that of the file, or one more when an unaligned structure at its end has
 * touched the cluster behind it (docs/interop/check-behaviour.rst 3.2, "The table grows when needed"), or as much more
 * as a repair has added.
 */
uint64_t refmap_clusters(const RefMap *map);

/*
 * Counts @weight references to each of the @n clusters from @first on. The map grows to have them; where they lie
 * farther behind the file than it can grow, that counts as lack of memory.
 */
bool refmap_add(RefMap *map, uint64_t first, uint64_t n, uint64_t weight);

/* Takes @n references to @cluster away again. For one thread. */
bool refmap_subtract(RefMap *map, uint64_t cluster, uint64_t n);

/* Counts @weight references to each of the @n counters @at in piece @index; a counter may be there twice. */
bool refmap_add_scattered(RefMap *map, uint64_t index, const uint16_t *at, size_t n, uint64_t weight);

uint64_t refmap_get(const RefMap *map, uint64_t cluster);

/*
 * Piece i has the counters of the clusters from i * COUNTERS_PER_PIECE on, COUNTERS_PER_PIECE of them. NULL where it
 * does not exist.
 */
Counters *refmap_piece(const RefMap *map, uint64_t index);

/*
 * The first piece at or behind *index that exists, and its index in *index; NULL when there is none. That takes a look
 * at what may be a thousand empty places.
 */
Counters *refmap_next_piece(const RefMap *map, uint64_t *index);

/* Clusters [first, first + n) with the same count, which is not 0. */
typedef struct RefMapRun {
    uint64_t first;
    uint64_t n;
    uint64_t count;
} RefMapRun;

/* The next of them in [@at, @end); false where there is none. A run ends where its piece does. */
bool refmap_next_run(const RefMap *map, uint64_t at, uint64_t end, RefMapRun *run);

/*
 * Counts for one thread, and collects single clusters by piece before it counts them: a fragmented image costs
 * a lock and a walk through the directory for many clusters, not for each, and the counters of a piece are near
 * when they are needed.
 */
typedef struct RefMapWriter RefMapWriter;

RefMapWriter *refmap_writer_new(RefMap *map);
void refmap_writer_free(RefMapWriter *writer);

/* As refmap_add(), but counted for certain only after refmap_writer_flush(). */
bool refmap_writer_add(RefMapWriter *writer, uint64_t first, uint64_t n, uint64_t weight);
bool refmap_writer_flush(RefMapWriter *writer);

#endif
