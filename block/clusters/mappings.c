/*
 * Mappings in order: see block/mappings.h.
 *
 * There are half a million at most, of hosts all over the file, so they are sorted digit by digit, in place.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/mappings.h"

#include <stdlib.h>
#include <string.h>

void mappings_clear(Mappings *mappings)
{
    free(mappings->items);
    *mappings = (Mappings){0};
}

#define DIGIT_BITS 8
#define DIGITS     (1u << DIGIT_BITS)
#define FEW        32 /* items that are sorted one by one */

static int compare(const void *a, const void *b)
{
    const Mapping *x = a, *y = b;

    if (x->host != y->host) {
        return x->host > y->host ? 1 : -1;
    }
    if (x->tree != y->tree) {
        return x->tree > y->tree ? 1 : -1;
    }
    return x->guest != y->guest ? (x->guest > y->guest ? 1 : -1) : (x->kind > y->kind) - (x->kind < y->kind);
}

static void sort_few(Mapping *items, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        Mapping item = items[i];
        size_t k = i;

        for (; k > 0 && compare(&items[k - 1], &item) > 0; k--) {
            items[k] = items[k - 1];
        }
        items[k] = item;
    }
}

static unsigned digit_of(const Mapping *m, unsigned shift)
{
    return m->host >> shift & (DIGITS - 1);
}

/* Moves each item to those that have its digit; where they end is in @ends. */
static void part_by_digit(Mapping *items, size_t n, unsigned shift, size_t ends[DIGITS])
{
    size_t next[DIGITS];
    size_t position = 0;

    memset(ends, 0, DIGITS * sizeof(*ends));
    for (size_t i = 0; i < n; i++) {
        ends[digit_of(&items[i], shift)]++;
    }
    for (unsigned digit = 0; digit < DIGITS; digit++) {
        next[digit] = position;
        position = ends[digit] += position;
    }
    for (unsigned digit = 0; digit < DIGITS; digit++) {
        while (next[digit] < ends[digit]) {
            Mapping item = items[next[digit]];
            unsigned its = digit_of(&item, shift);

            items[next[digit]] = items[next[its]];
            items[next[its]++] = item;
        }
    }
}

/* Sorts by the digit at @shift and those below it; all above are the same. */
static void sort_from(Mapping *items, size_t n, unsigned shift)
{
    size_t ends[DIGITS];
    size_t first = 0;

    part_by_digit(items, n, shift, ends);
    for (unsigned digit = 0; digit < DIGITS; digit++) {
        Mapping *part = items + first;
        size_t in_part = ends[digit] - first;

        if (in_part <= FEW) {
            sort_few(part, in_part);
        } else if (shift == 0) {
            qsort(part, in_part, sizeof(*part), compare); /* a host that has so many users */
        } else {
            sort_from(part, in_part, shift - DIGIT_BITS);
        }
        first = ends[digit];
    }
}

void mappings_sort(Mappings *mappings)
{
    uint64_t hosts = 0; /* their bits */
    unsigned shift = 0;

    for (size_t i = 0; i < mappings->n; i++) {
        hosts |= mappings->items[i].host;
    }
    while (shift + DIGIT_BITS < 64 && hosts >> (shift + DIGIT_BITS)) {
        shift += DIGIT_BITS;
    }
    if (mappings->n <= FEW) {
        sort_few(mappings->items, mappings->n);
    } else {
        sort_from(mappings->items, mappings->n, shift);
    }
}
