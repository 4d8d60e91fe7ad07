/*
 * Prefetch: reads many ranges of a source and hands their bytes to worker threads as they arrive.
 *
 * Ranges are sorted by offset; neighbours are read together. Each worker has a reader of its own, keeps a bounded
 * number of bytes in flight, and examines what has arrived: where the data is in memory already it reads and
 * examines in turn, and where reads take long it has as many in flight as help. What lies in a hole of the file,
 * or beyond its end, is not read: it is zeros.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_IO_PREFETCH_H
#define BLOCK_IO_PREFETCH_H

#include "block/progress.h"
#include "block/source.h"

#define BLOCK_MAX_WORKERS 16

/* How much is read at once, and who is told. */
typedef struct BlockReadOptions {
    unsigned workers; /* threads, taken as 1 .. BLOCK_MAX_WORKERS; fewer are started where there is little to do */
    CheckProgress *progress; /* bytes_known and bytes_done are counted up; NULL: nobody is told */
} BlockReadOptions;

typedef struct BlockRange {
    uint64_t offset;
    uint32_t size; /* bytes, 1 .. 2^22 */
} BlockRange;

typedef struct BlockPrefetch {
    BlockSource *source;
    BlockReadOptions options;

    size_t n; /* ranges */
    BlockRange (*range)(const void *opaque, size_t i);

    /*
     * Examines range @i. @error is 0 or a negative errno value; without one @bytes are there, or NULL for zeros that
     * were not read. Called by several threads at once, by each with its own state. False ends everything: memory is
     * short.
     */
    bool (*examine)(void *state, size_t i, const uint8_t *bytes, int error);

    /*
     * Makes the state of a worker, whose number is less than BLOCK_MAX_WORKERS; NULL when memory is short. Each state
     * is given to @end, which adds what the worker has found to @opaque and frees the state, also where everything has
     * ended early; false when memory is short. The thread that calls block_prefetch() runs both, before and after the
     * workers, so neither needs a lock. NULL: all workers share @opaque as their state.
     */
    void *(*begin)(void *opaque, unsigned number);
    bool (*end)(void *opaque, void *state);
    void *opaque;
} BlockPrefetch;

/* Reads and examines all ranges, or those up to the loss of the source. False when memory is short. */
bool block_prefetch(const BlockPrefetch *prefetch);

#endif
