/*
 * What disks may have on them after a crash.
 *
 * What was flushed is there. Of what came after the last completed flush of a disk, any part may be there and any
 * other not: a write is cut into the sectors that it touches, a change of length is one part, and a hole is cut into
 * sectors that have become zeros or not. The parts that are there took effect in their order.
 *
 * All prefixes of the journal are covered by the states just before each flush and at the end: what could be pending
 * earlier is a part of what is pending then. If there are few parts, all sets of them are tried; otherwise none, all,
 * each prefix, each by itself, all but each, and sets at random.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_CRASH_STATES_H
#define TESTS_CRASH_STATES_H

#include "disk.h"

typedef struct CrashState {
    const GByteArray *disks[CRASH_DISKS]; /* what is on them */
    guint done;                           /* how many operations of the journal had been begun */
    const char *parts;                    /* which parts of those not flushed are there, for people */
} CrashState;

typedef struct CrashPlan {
    unsigned max_exhaustive; /* up to so many parts all sets of them are tried */
    unsigned samples;        /* otherwise so many at random, and at most so many of each regular kind */
    GRand *random;
} CrashPlan;

/* Is called for each state. False ends it. */
typedef bool CrashVisitor(const CrashState *state, void *opaque);

/*
 * Goes through the states that a crash can leave of disks that were @initial (NULL: there is none of that number), and
 * to which @journal was done. Returns how many there were; *@ended is true when the visitor ended it.
 */
guint64 crash_states(const CrashJournal *journal, const GByteArray *const initial[CRASH_DISKS], const CrashPlan *plan,
                     CrashVisitor *visit, void *opaque, bool *ended);

/* Reads CRASH_SCALE from the environment: how many times as much is to be tried; 1 if it is not set. */
unsigned crash_scale(void);

#endif
