/*
 * How much memory reading may take: the one place that decides it.
 *
 * The rest of the memory of a check follows from what the image holds: counters (block/clusters/counters.h), tables
 * (block/qcow2/load/tables.h). Only the buffers for reads in flight can be chosen, so they shrink if the process may
 * not have much memory.
 *
 * Thread safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_MEMORY_PLAN_H
#define BLOCK_MEMORY_PLAN_H

#include <stddef.h>
#include <stdint.h>

#define MEMORY_PLAN_BATCHES 32 /* so many fit into what is in flight */

typedef struct MemoryPlan {
    uint64_t limit;   /* bytes that the process may have: by its limits (RLIMIT_AS, RLIMIT_DATA), or of the machine */
    size_t in_flight; /* bytes of reads in flight, all threads of a check together, where a read takes little time */
    size_t far_in_flight; /* the same where it takes long, so that much has to be in flight */
    size_t batch;         /* bytes of one read, at most, but that a single table is never cut; little time again */
} MemoryPlan;

/* The plan for this process. The first call reads the limits of the process. */
const MemoryPlan *memory_plan(void);

/* The plan for a process that may have @limit bytes. */
MemoryPlan memory_plan_for(uint64_t limit);

#endif
