/*
 * A window of the file: the clusters that one pass of a check in passes counts (qcow2/check/passes.h).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_CHECK_WINDOW_H
#define BLOCK_QCOW2_CHECK_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "block/io/memory-budget.h"

typedef struct Qcow2Window {
    uint64_t first; /* cluster; 0 in the first window */
    uint64_t end;   /* cluster behind the last one; UINT64_MAX in the last window, which has all behind the file too */
    bool again;     /* it was counted before: what is wrong with entries is known */
    MemoryBudget *budget;
} Qcow2Window;

static inline bool qcow2_window_has(const Qcow2Window *w, uint64_t cluster)
{
    return cluster >= w->first && cluster < w->end;
}

#endif
