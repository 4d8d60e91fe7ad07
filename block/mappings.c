/*
 * Mappings in order: see block/mappings.h.
 *
 * There are half a million at most, of hosts all over the file, so they are sorted digit by digit.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/mappings.h"

#include <glib.h>
#include <stdlib.h>

void mappings_clear(Mappings *mappings)
{
    free(mappings->items);
    *mappings = (Mappings){0};
}

#define DIGIT_BITS 11
#define DIGITS     (1u << DIGIT_BITS)

/* By one digit of the host cluster; those that are equal stay in their order. */
static void sort_by_digit(const Mapping *from, Mapping *to, size_t n, unsigned shift)
{
    size_t places[DIGITS] = {0};
    size_t place = 0;

    for (size_t i = 0; i < n; i++) {
        places[from[i].host >> shift & (DIGITS - 1)]++;
    }
    for (size_t digit = 0; digit < DIGITS; digit++) {
        size_t count = places[digit];

        places[digit] = place;
        place += count;
    }
    for (size_t i = 0; i < n; i++) {
        to[places[from[i].host >> shift & (DIGITS - 1)]++] = from[i];
    }
}

static int compare_users(const void *a, const void *b)
{
    const Mapping *x = a, *y = b;

    if (x->tree != y->tree) {
        return x->tree > y->tree ? 1 : -1;
    }
    return x->guest != y->guest ? (x->guest > y->guest ? 1 : -1) : (x->kind > y->kind) - (x->kind < y->kind);
}

/* Of one host cluster there may be several, from any thread. */
static void sort_users(Mappings *mappings)
{
    size_t end;

    for (size_t first = 0; first < mappings->n; first = end) {
        for (end = first + 1; end < mappings->n && mappings->items[end].host == mappings->items[first].host;) {
            end++;
        }
        if (end - first > 1) {
            qsort(mappings->items + first, end - first, sizeof(Mapping), compare_users);
        }
    }
}

bool mappings_sort(Mappings *mappings)
{
    Mapping *other = calloc(MAX(mappings->n, 1), sizeof(Mapping));
    uint64_t hosts = 0; /* their bits */

    if (!other) {
        return false;
    }
    for (size_t i = 0; i < mappings->n; i++) {
        hosts |= mappings->items[i].host;
    }
    for (unsigned shift = 0; shift < 64 && hosts >> shift; shift += DIGIT_BITS) {
        Mapping *sorted = other;

        sort_by_digit(mappings->items, sorted, mappings->n, shift);
        other = mappings->items;
        mappings->items = sorted;
    }
    free(other);
    sort_users(mappings);
    return true;
}
