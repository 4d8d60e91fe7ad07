/*
 * How far one check or several have come, in numbers.
 *
 * The caller owns a ProgressState. Checks write to its slots while they run, in this process or, where the slots lie
 * in shared memory, in others. Nothing here fails or allocates.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_PROGRESS_STATE_H
#define UI_PROGRESS_STATE_H

#include <stdint.h>

#include "block/progress.h"
#include "qapi/qapi-types.h"

/* All members but images and slots may change while they are read: access them by relaxed __atomic operations. */
typedef struct ProgressState {
    unsigned images;         /* to be checked, at least 1 */
    unsigned finished;       /* images whose check has ended */
    uint64_t finished_bytes; /* metadata of the finished images */
    unsigned slots;          /* elements of slot */
    CheckProgress *slot;     /* one for each image under way; all zero while unused */
} ProgressState;

/* Returns the part of all work that is done, 0 to 1. Safe in a signal handler. */
double progress_fraction(const ProgressState *state);

/* Returns the progress @elapsed seconds after the beginning. */
ImageCheckProgress progress_read(const ProgressState *state, double elapsed);

#endif
