/*
 * A piece of reference counters: up to COUNTERS_PER_PIECE counts of neighbouring clusters, as narrow as their
 * values allow.
 *
 * Most counts are 0, 1 or a few: a piece in which all are equal takes no memory beside the struct; else each
 * counter takes 1 byte, and 2 or 8 once one of them needs that. Computed and stored counts have the same shape,
 * so comparing them is comparing memory.
 *
 * A zeroed struct is a piece of zeros. The number of counters in it is known to the owner, and passed as @size.
 * Indexes are below @size. Functions that may allocate return false when memory is short, and change nothing.
 * Not thread safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_COUNTERS_H
#define BLOCK_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COUNTERS_PER_PIECE_BITS 15
#define COUNTERS_PER_PIECE      (1u << COUNTERS_PER_PIECE_BITS)

typedef struct Counters {
    void *data;     /* NULL: all are @value */
    uint64_t value; /* meaningful only without @data */
    uint8_t width;  /* bytes a counter in @data: 1, 2 or 8 */
} Counters;

void counters_clear(Counters *c);

static inline uint64_t counters_get(const Counters *c, size_t i)
{
    if (!c->data) {
        return c->value;
    }
    switch (c->width) {
    case 1:
        return ((const uint8_t *)c->data)[i];
    case 2:
        return ((const uint16_t *)c->data)[i];
    default:
        return ((const uint64_t *)c->data)[i];
    }
}

/* Adds @weight to the @n counters from @first on. A counter never exceeds 2^64 - 1. */
bool counters_add(Counters *c, size_t size, size_t first, size_t n, uint64_t weight);

/* Makes of @c the narrowest piece with the @size values at @values; @c must be clear. */
bool counters_set(Counters *c, size_t size, const uint64_t *values);

/* Lowers what exceeds @max to @max. */
void counters_clamp(Counters *c, size_t size, uint64_t max);

/*
 * The first i < @n for which a[a_first + i] and b[b_first + i] differ, or @n. Equal stretches are passed at the
 * speed of memory.
 */
size_t counters_mismatch(const Counters *a, size_t a_first, const Counters *b, size_t b_first, size_t n);

/* One more than the index of the last counter among the @n from @first on that is not 0; 0 where all are. */
size_t counters_used(const Counters *c, size_t first, size_t n);

/* The first i in [@first, @size) with a value above @limit, or @size. */
size_t counters_find_above(const Counters *c, size_t size, size_t first, uint64_t limit);

#endif
