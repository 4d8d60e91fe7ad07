/*
 * A piece of reference counters.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/counters.h"

#include <glib.h>
#include <string.h>

static const uint64_t width_max[] = {[0] = UINT64_MAX, [1] = UINT8_MAX, [2] = UINT16_MAX, [8] = UINT64_MAX};

static uint8_t width_for(uint64_t value)
{
    return value <= UINT8_MAX ? 1 : value <= UINT16_MAX ? 2 : 8;
}

static void set(void *data, uint8_t width, size_t i, uint64_t value)
{
    switch (width) {
    case 1:
        ((uint8_t *)data)[i] = value;
        break;
    case 2:
        ((uint16_t *)data)[i] = value;
        break;
    default:
        ((uint64_t *)data)[i] = value;
    }
}

void counters_clear(Counters *c)
{
    g_free(c->data);
    *c = (Counters){0};
}

/* Gives @c data of @width, which is not narrower than what it has. */
static bool widen(Counters *c, size_t size, uint8_t width)
{
    void *data;

    if (c->data && c->width >= width) {
        return true;
    }
    data = c->value || c->data ? g_try_malloc(size * width) : g_try_malloc0(size * width);
    if (!data) {
        return false;
    }
    if (c->value || c->data) {
        for (size_t i = 0; i < size; i++) {
            set(data, width, i, counters_get(c, i));
        }
    }
    g_free(c->data);
    *c = (Counters){.data = data, .width = width};
    return true;
}

/* For each width: the greatest of a range, and addition to one in which nothing overflows. Compilers vectorise both. */
#define DEFINE_RANGE_FUNCTIONS(type)                                                                                   \
    static type range_max_##type(const type *p, size_t n)                                                              \
    {                                                                                                                  \
        type max = 0;                                                                                                  \
                                                                                                                       \
        for (size_t i = 0; i < n; i++) {                                                                               \
            max = p[i] > max ? p[i] : max;                                                                             \
        }                                                                                                              \
        return max;                                                                                                    \
    }                                                                                                                  \
                                                                                                                       \
    static void range_add_##type(type *p, size_t n, type weight)                                                       \
    {                                                                                                                  \
        for (size_t i = 0; i < n; i++) {                                                                               \
            p[i] += weight;                                                                                            \
        }                                                                                                              \
    }

DEFINE_RANGE_FUNCTIONS(uint8_t)
DEFINE_RANGE_FUNCTIONS(uint16_t)
DEFINE_RANGE_FUNCTIONS(uint64_t)

static uint64_t range_max(const Counters *c, size_t first, size_t n)
{
    if (!c->data) {
        return c->value;
    }
    switch (c->width) {
    case 1:
        return range_max_uint8_t((const uint8_t *)c->data + first, n);
    case 2:
        return range_max_uint16_t((const uint16_t *)c->data + first, n);
    default:
        return range_max_uint64_t((const uint64_t *)c->data + first, n);
    }
}

/* Counters stop at 2^64 - 1; every other overflow is one of the width, and was prevented. */
static void add_saturating(uint64_t *p, size_t n, uint64_t weight)
{
    for (size_t i = 0; i < n; i++) {
        if (__builtin_add_overflow(p[i], weight, &p[i])) {
            p[i] = UINT64_MAX;
        }
    }
}

bool counters_add(Counters *c, size_t size, size_t first, size_t n, uint64_t weight)
{
    uint64_t max = range_max(c, first, n);
    uint64_t sum;

    if (__builtin_add_overflow(max, weight, &sum)) {
        sum = UINT64_MAX;
    }
    if (n == size && !c->data && sum != UINT64_MAX) {
        c->value = sum;
        return true;
    }
    if (!c->data || sum > width_max[c->width]) {
        uint64_t needed = !c->data && c->value > sum ? c->value : sum;

        if (!widen(c, size, width_for(needed))) {
            return false;
        }
    }
    switch (c->width) {
    case 1:
        range_add_uint8_t((uint8_t *)c->data + first, n, weight);
        break;
    case 2:
        range_add_uint16_t((uint16_t *)c->data + first, n, weight);
        break;
    default:
        if (sum == UINT64_MAX) {
            add_saturating((uint64_t *)c->data + first, n, weight);
        } else {
            range_add_uint64_t((uint64_t *)c->data + first, n, weight);
        }
    }
    return true;
}

bool counters_add_scattered(Counters *c, size_t size, const uint16_t *at, size_t n, uint64_t weight)
{
    size_t i = 0;

    if (!c->data && !widen(c, size, width_for(c->value))) {
        return false;
    }
    if (c->width == 1 && weight <= UINT8_MAX) {
        uint8_t *p = c->data;

        while (i < n && p[at[i]] <= UINT8_MAX - weight) {
            p[at[i++]] += weight;
        }
    }
    for (; i < n; i++) {
        if (!counters_add(c, size, at[i], 1, weight)) {
            return false;
        }
    }
    return true;
}

const CounterRun *counters_run(const Counters *c, size_t i)
{
    const CounterRun *runs = c->data;
    size_t low = 0, high = c->n_runs;

    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;

        if (runs[middle].first <= i) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return &runs[low];
}

size_t counters_stretch(const Counters *c, size_t i, size_t end)
{
    const CounterRun *run;

    if (!c->data) {
        return end - i;
    }
    if (c->width) {
        return 1;
    }
    run = counters_run(c, i);
    return run + 1 < (const CounterRun *)c->data + c->n_runs ? MIN(run[1].first, end) - i : end - i;
}

bool counters_set(Counters *c, size_t size, const uint64_t *values)
{
    uint64_t max = 0;
    uint64_t differing = 0;

    for (size_t i = 0; i < size; i++) {
        max = values[i] > max ? values[i] : max;
        differing |= values[i] ^ values[0];
    }
    if (!differing) {
        c->value = values[0];
        return true;
    }
    c->width = width_for(max);
    c->data = g_try_malloc(size * c->width);
    if (!c->data) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        set(c->data, c->width, i, values[i]);
    }
    return true;
}

static size_t count_runs(const uint8_t *values, size_t size)
{
    size_t changes = 0;

    for (size_t i = 1; i < size; i++) {
        changes += values[i] != values[i - 1];
    }
    return changes + 1;
}

static bool set_runs(Counters *c, size_t size, const uint8_t *values, size_t n)
{
    CounterRun *run = g_try_new(CounterRun, n);

    if (!run) {
        return false;
    }
    *c = (Counters){.data = run, .n_runs = n};
    for (size_t i = 0; i < size; i++) {
        if (i == 0 || values[i] != values[i - 1]) {
            *run++ = (CounterRun){.value = values[i], .first = i};
        }
    }
    return true;
}

bool counters_set_narrow(Counters *c, size_t size, const uint8_t *values)
{
    size_t n_runs = count_runs(values, size);

    if (n_runs == 1) {
        c->value = values[0];
        return true;
    }
    if (n_runs * sizeof(CounterRun) < size / 4) {
        return set_runs(c, size, values, n_runs);
    }
    c->data = g_try_malloc(size);
    if (!c->data) {
        return false;
    }
    c->width = 1;
    memcpy(c->data, values, size);
    return true;
}

void counters_clamp(Counters *c, size_t size, uint64_t max)
{
    if (!c->data) {
        c->value = MIN(c->value, max);
        return;
    }
    for (size_t i = 0; i < size; i++) {
        if (counters_get(c, i) > max) {
            set(c->data, c->width, i, max);
        }
    }
}

static size_t memory_mismatch(const uint8_t *a, const uint8_t *b, size_t n)
{
    size_t i = 0;

    /* memcmp() says quickly that a stretch is equal, but not where it is not */
    while (i < n) {
        size_t step = MIN(n - i, 256);

        if (memcmp(a + i, b + i, step)) {
            break;
        }
        i += step;
    }
    while (i < n && a[i] == b[i]) {
        i++;
    }
    return i;
}

/* The first byte of @p that is not @value, or @n. */
static size_t memory_not_equal_to(const uint8_t *p, uint8_t value, size_t n)
{
    if (n && p[0] == value) {
        return 1 + memory_mismatch(p, p + 1, n - 1);
    }
    return 0;
}

/* The first i < @n for which @c has something else than @value at @first + i, or @n. @c has an array. */
static size_t array_not_equal_to(const Counters *c, size_t first, uint64_t value, size_t n)
{
    size_t i = 0;

    if (c->width == 1) {
        return value <= UINT8_MAX ? memory_not_equal_to((const uint8_t *)c->data + first, value, n) : 0;
    }
    while (i < n && counters_get(c, first + i) == value) {
        i++;
    }
    return i;
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

static bool has_array(const Counters *c)
{
    return c->data && c->width;
}

size_t counters_mismatch(const Counters *a, size_t a_first, const Counters *b, size_t b_first, size_t n)
{
    size_t i = 0;

    if (has_array(a) && has_array(b)) {
        return arrays_mismatch(a, a_first, b, b_first, n);
    }
    if (has_array(a)) {
        return counters_mismatch(b, b_first, a, a_first, n);
    }
    while (i < n) {
        uint64_t value = counters_get(a, a_first + i);
        size_t stretch = counters_stretch(a, a_first + i, a_first + n);
        size_t equal;

        if (has_array(b)) {
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

    if (has_array(c)) {
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

size_t counters_find_above(const Counters *c, size_t size, size_t first, uint64_t limit)
{
    /* whole pieces are mostly far below every limit that there is */
    if ((c->data && width_max[c->width] <= limit) || range_max(c, first, size - first) <= limit) {
        return size;
    }
    while (first < size && counters_get(c, first) <= limit) {
        first++;
    }
    return first;
}
