/*
 * The progress of a check: its threads write it, a progress display reads it.
 *
 * All members are written and read with __atomic operations, relaxed; a reader may see one a little older than
 * another.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_PROGRESS_H
#define BLOCK_PROGRESS_H

#include <stdint.h>

typedef enum CheckPhase {
    CHECK_PHASE_OPENING,   /* header, snapshot table, bitmap directory */
    CHECK_PHASE_REFCOUNTS, /* refcount blocks */
    CHECK_PHASE_TABLES,    /* L1 and L2 tables */
    CHECK_PHASE_COMPARING, /* no more metadata is read */
    CHECK_PHASE_VERIFYING, /* compressed data */
    CHECK_PHASE__MAX
} CheckPhase;

typedef struct CheckProgress {
    CheckPhase phase;
    uint64_t bytes_done;  /* metadata, and data that is verified, examined so far, bytes */
    uint64_t bytes_known; /* the same known to be there so far; grows as tables are found */
} CheckProgress;

#endif
