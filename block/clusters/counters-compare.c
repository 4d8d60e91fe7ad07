/*
 * Comparing pieces of reference counters: stretches that are the same, and where two pieces differ.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>

#include "block/clusters/counters.h"
#include "block/clusters/memory-mismatch.h"

/* The first i < @n for which @c has something else than @value at @first + i, or @n. @c has an array. */
static size_t array_not_equal_to(const Counters *c, size_t first, uint64_t value, size_t n)
{
    size_t i = 0;

    if (c->width == 1) {
        return value <= UINT8_MAX ? memory_not_equal_to((const uint8_t *)c->data + first, (uint8_t)value, n) : 0;
    }
    while (i < n && counters_get(c, first + i) == value) {
        i++;
    }
    return i;
}

size_t counters_same(const Counters *c, size_t i, size_t end, uint64_t *value)
{
    const CounterRun *run;

    if (counters_has_array(c)) {
        *value = counters_get(c, i);
        return array_not_equal_to(c, i, *value, end - i);
    }
    if (!c->data) {
        *value = c->value;
        return end - i;
    }
    run = counters_run(c, i);
    *value = run->value;
    return counters_left_of_run(c, run, i, end);
}

static size_t arrays_mismatch(const Counters *a, size_t a_first, const Counters *b, size_t b_first, size_t n)
{
    size_t i = 0;

    if (a->width == b->width) {
        return memory_mismatch((const uint8_t *)a->data + a_first * a->width,
                               (const uint8_t *)b->data + b_first * b->width, n * a->width) /
               a->width;
    }
    while (i < n && counters_get(a, a_first + i) == counters_get(b, b_first + i)) {
        i++;
    }
    return i;
}

size_t counters_mismatch(const Counters *a, size_t a_first, const Counters *b, size_t b_first, size_t n)
{
    size_t i = 0;

    if (counters_has_array(a) && counters_has_array(b)) {
        return arrays_mismatch(a, a_first, b, b_first, n);
    }
    if (counters_has_array(a)) {
        return counters_mismatch(b, b_first, a, a_first, n);
    }
    while (i < n) {
        uint64_t value = counters_get(a, a_first + i);
        size_t stretch = counters_stretch(a, a_first + i, a_first + n);
        size_t equal;

        if (counters_has_array(b)) {
            equal = array_not_equal_to(b, b_first + i, value, stretch);
        } else {
            stretch = MIN(stretch, counters_stretch(b, b_first + i, b_first + n));
            equal = counters_get(b, b_first + i) == value ? stretch : 0;
        }
        i += equal;
        if (equal < stretch) {
            break;
        }
    }
    return i;
}

size_t counters_used(const Counters *c, size_t first, size_t n)
{
    size_t used = 0;

    if (counters_has_array(c)) {
        for (used = first + n; used > first && !counters_get(c, used - 1); used--) {
            continue;
        }
        return used > first ? used : 0;
    }
    for (size_t i = first; i < first + n;) {
        size_t end = i + counters_stretch(c, i, first + n);

        used = counters_get(c, i) ? end : used;
        i = end;
    }
    return used;
}
