/*
 * Reference counters: one counter a host cluster, counted while the metadata is walked.
 *
 * Counters live in pieces (counters.h) that exist once something in them is counted, below a directory that is
 * a radix tree: memory follows what is counted, not the length of the file, which may be all holes.
 *
 * Functions that may allocate return false when memory is short. Not thread safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_REFMAP_H
#define BLOCK_REFMAP_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "block/counters.h"

typedef struct RefMap RefMap;

/* A map for a file of @clusters clusters (0 .. 2^54). It can grow by one, see refmap_add(). */
RefMap *refmap_new(uint64_t clusters);
void refmap_free(RefMap *map);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RefMap, refmap_free)

/*
 * The length of the map in clusters: that of the file, or one more when an unaligned structure at its end has
 * touched the cluster behind it (spec check-behaviour 3.2, "the table grows when needed").
 */
uint64_t refmap_clusters(const RefMap *map);

/* Counts @weight references to each of the @n clusters from @first on; they lie in the file or one behind it. */
bool refmap_add(RefMap *map, uint64_t first, uint64_t n, uint64_t weight);

uint64_t refmap_get(const RefMap *map, uint64_t cluster);

/*
 * The first piece at or behind *index that exists, and its index in *index; NULL when there is none. Piece i has
 * the counters of the clusters from i * COUNTERS_PER_PIECE on, COUNTERS_PER_PIECE of them.
 */
Counters *refmap_next_piece(const RefMap *map, uint64_t *index);

#endif
