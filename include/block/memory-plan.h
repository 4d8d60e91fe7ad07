/*
 * How much memory reading may take: the one place where that is decided.
 *
 * Everything else that a check keeps follows from what the image really holds: counters as runs where they can be
 * (block/clusters/counters.h), tables as far as the file has them (block/qcow2/load/tables.h). Buffers for reads in
 * flight are what is free to be chosen, so they give way where the process may not have much memory.
 *
 * Thread safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_MEMORY_PLAN_H
#define BLOCK_MEMORY_PLAN_H

#include <stddef.h>
#include <stdint.h>

typedef struct MemoryPlan {
    uint64_t limit;   /* bytes that the process may have: by its limits (RLIMIT_AS, RLIMIT_DATA), or of the machine */
    size_t in_flight; /* bytes of reads in flight, all threads of a check together */
    size_t batch;     /* bytes of one read, at most, but that a single table is never cut */
} MemoryPlan;

/* The plan for this process; its limits are looked at the first time. */
const MemoryPlan *memory_plan(void);

/* The plan for a process that may have @limit bytes. */
MemoryPlan memory_plan_for(uint64_t limit);

#endif
