/*
 * A budget of memory: how much may be kept of what grows with an image, and how much is.
 *
 * Who keeps something takes its size from the budget, once the memory is there: the budget is exceeded by one
 * allocation for each thread at most. Nothing is given back piece by piece. Who owns the budget sets `used` to what is
 * left when much was freed at once, while no other thread takes from it.
 *
 * NULL is a budget without a limit, and costs a comparison.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_IO_MEMORY_BUDGET_H
#define BLOCK_IO_MEMORY_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct MemoryBudget {
    uint64_t limit; /* bytes */
    uint64_t used;  /* atomic while threads take from it */
} MemoryBudget;

static inline bool memory_budget_exceeded(const MemoryBudget *budget)
{
    return budget && __atomic_load_n(&budget->used, __ATOMIC_RELAXED) > budget->limit;
}

/* Takes @bytes; false when that is more than there is. They are taken all the same. */
static inline bool memory_budget_take(MemoryBudget *budget, uint64_t bytes)
{
    return !budget || __atomic_add_fetch(&budget->used, bytes, __ATOMIC_RELAXED) <= budget->limit;
}

#endif
