/*
 * A piece of reference counters: up to COUNTERS_PER_PIECE counts of neighbouring clusters, in the least memory
 * that their values allow.
 *
 * Neighbours mostly have the same count, and most counts are small. So a piece is kept as runs of equal counters
 * while it has few of them; one run takes no memory beside the struct. Else each counter takes 1 byte, and 2 or 8
 * once one of them needs that. Computed and stored counts have the same shape, so comparing them is comparing runs,
 * or memory.
 *
 * A zeroed struct is a piece of zeros. The number of counters in it is known to the owner, and passed as @size;
 * indexes are below it. Functions that may allocate return false when memory is short; the counts are lost then.
 * Not thread safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_CLUSTERS_COUNTERS_H
#define BLOCK_CLUSTERS_COUNTERS_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COUNTERS_PER_PIECE_BITS 15
#define COUNTERS_PER_PIECE      (1u << COUNTERS_PER_PIECE_BITS)

/* Counters from @first to the next run, or to the end, that are all @value. */
typedef struct CounterRun {
    uint64_t value;
    uint16_t first;
} CounterRun;

typedef struct Counters {
    void *data;      /* NULL: all are @value */
    uint64_t value;  /* meaningful only without @data */
    uint16_t n_runs; /* of CounterRun in @data, where @width is 0 */
    uint8_t width;   /* bytes a counter in @data: 1, 2 or 8; 0: @data has runs */
} Counters;

void counters_clear(Counters *c);

/* The run that counter @i is in; only where @c has runs. */
const CounterRun *counters_run(const Counters *c, size_t i);

static inline uint64_t counters_get(const Counters *c, size_t i)
{
    if (!c->data) {
        return c->value;
    }
    switch (c->width) {
    case 0:
        return counters_run(c, i)->value;
    case 1:
        return ((const uint8_t *)c->data)[i];
    case 2:
        return ((const uint16_t *)c->data)[i];
    default:
        return ((const uint64_t *)c->data)[i];
    }
}

/* Returns true if each counter has a place of its own in @c->data. */
static inline bool counters_has_array(const Counters *c)
{
    return c->data && c->width;
}

/* The number of counters of @run from @i on, below @end. */
static inline size_t counters_left_of_run(const Counters *c, const CounterRun *run, size_t i, size_t end)
{
    return run + 1 < (const CounterRun *)c->data + c->n_runs ? MIN(run[1].first, end) - i : end - i;
}

/* Adds @weight to the @n counters from @first on. A counter stops at 2^64 - 1. */
bool counters_add(Counters *c, size_t size, size_t first, size_t n, uint64_t weight);

/* The same for the @n counters whose indexes are @at, one after the other. */
bool counters_add_scattered(Counters *c, size_t size, const uint16_t *at, size_t n, uint64_t weight);

/*
 * Joins @label (at least 1) to the @n counters from @first on, which are labels: one that is 0 becomes @label, one that
 * is another label becomes @several, which no label stands for. Labels above @several win over all others; the greater
 * one does among them.
 */
bool counters_join(Counters *c, size_t size, size_t first, size_t n, uint64_t label, uint64_t several);

/* Subtracts @n from counter @i, which stops at 0. */
bool counters_subtract(Counters *c, size_t size, size_t i, uint64_t n);

/* Makes of @c, which must be clear, a piece with the @size values at @values, each of @width bytes: 1 or 8. */
bool counters_set(Counters *c, size_t size, const void *values, unsigned width);

/* The same of @n runs (at least 1), the first of which begins with counter 0; neighbours differ. */
bool counters_set_runs(Counters *c, const CounterRun *runs, size_t n);

/* Lowers what exceeds @max to @max. */
void counters_clamp(Counters *c, size_t size, uint64_t max);

/*
 * For going through a piece by stretches of equal counters: the number of counters from @i on, below @end, that are
 * known to be the same as counter @i without examining each; 1 if the piece has an array.
 */
size_t counters_stretch(const Counters *c, size_t i, size_t end);

/* The number of counters from @i on, below @end, that are the same as counter @i, which is *value. */
size_t counters_same(const Counters *c, size_t i, size_t end, uint64_t *value);

/*
 * The first i < @n for which a[a_first + i] and b[b_first + i] differ, or @n. Equal stretches are passed at the
 * speed of memory.
 */
size_t counters_mismatch(const Counters *a, size_t a_first, const Counters *b, size_t b_first, size_t n);

/* The greatest of the @n counters from @first on. */
uint64_t counters_max(const Counters *c, size_t first, size_t n);

/* One more than the index of the last counter among the @n from @first on that is not 0; 0 where all are. */
size_t counters_used(const Counters *c, size_t first, size_t n);

/* The first i in [@first, @size) with a value above @limit, or @size. */
size_t counters_find_above(const Counters *c, size_t size, size_t first, uint64_t limit);

#endif
