/*
 * A piece of reference counters.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/clusters/counters.h"

#include <assert.h>
#include <glib.h>
#include <string.h>

#include "block/clusters/memory-mismatch.h"

#define MIN_RUNS   8  /* memory for them is taken in powers of two from here */
#define MAX_RUNS   64 /* in a piece that is counted in: an insertion moves them about */
#define RUNS_SHARE 4  /* runs take no more than this part of what a byte for each counter does */
#define RUNS_MOST  (COUNTERS_PER_PIECE / RUNS_SHARE / sizeof(CounterRun))

static const uint64_t width_max[] = {[1] = UINT8_MAX, [2] = UINT16_MAX, [8] = UINT64_MAX};

static uint8_t width_for(uint64_t value)
{
    return value <= UINT8_MAX ? 1 : value <= UINT16_MAX ? 2 : 8;
}

static void set(void *data, uint8_t width, size_t i, uint64_t value)
{
    switch (width) {
    case 1:
        ((uint8_t *)data)[i] = (uint8_t)value;
        break;
    case 2:
        ((uint16_t *)data)[i] = (uint16_t)value;
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

static uint64_t load(const void *values, unsigned width, size_t i)
{
    return width == 1 ? ((const uint8_t *)values)[i] : ((const uint64_t *)values)[i];
}

static uint64_t saturating_sum(uint64_t a, uint64_t b)
{
    uint64_t sum;

    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

/* Gives @c an array of counters of @width, which is wider than what it has. */
static bool widen(Counters *c, size_t size, uint8_t width)
{
    void *data = g_try_malloc(size * width);

    if (!data) {
        return false;
    }
    for (size_t i = 0; i < size;) {
        uint64_t value = counters_get(c, i);

        for (size_t end = i + counters_stretch(c, i, size); i < end; i++) {
            set(data, width, i, value);
        }
    }
    g_free(c->data);
    *c = (Counters){.data = data, .width = width};
    return true;
}

/* ---- runs ---- */

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
    if (!c->data) {
        return end - i;
    }
    return c->width ? 1 : counters_left_of_run(c, counters_run(c, i), i, end);
}

/* Makes counter @i the first of its run, and returns the run's index. There is room for one more run. */
static size_t split_run(Counters *c, size_t i)
{
    CounterRun *runs = c->data;
    size_t k = counters_run(c, i) - runs;

    if (runs[k].first == i) {
        return k;
    }
    memmove(&runs[k + 2], &runs[k + 1], (c->n_runs - k - 1) * sizeof(*runs));
    runs[k + 1] = (CounterRun){.value = runs[k].value, .first = (uint16_t)i};
    c->n_runs++;
    return k + 1;
}

/* A piece of @n runs has memory for at least this many. */
static size_t runs_held(size_t n)
{
    if (n <= MIN_RUNS) {
        return MIN_RUNS;
    }
    return n <= MAX_RUNS ? (size_t)1 << (64 - __builtin_clzll(n - 1)) : n;
}

/* Returns true if the piece has runs, and two more of them fit. */
static bool room_for_runs(Counters *c)
{
    size_t wanted = c->data ? runs_held(c->n_runs + 2) : MIN_RUNS;
    CounterRun *runs;

    if (c->data && (c->width || wanted > MAX_RUNS)) {
        return false;
    }
    if (c->data && wanted == runs_held(c->n_runs)) {
        return true;
    }
    runs = g_try_renew(CounterRun, c->data, wanted);
    if (runs && !c->data) {
        runs[0] = (CounterRun){.value = c->value};
        *c = (Counters){.n_runs = 1};
    }
    c->data = runs ? runs : c->data;
    return runs;
}

static void add_to_runs(Counters *c, size_t size, size_t first, size_t n, uint64_t weight)
{
    size_t k = split_run(c, first);
    size_t end = first + n < size ? split_run(c, first + n) : c->n_runs;
    CounterRun *runs = c->data;

    for (size_t i = k; i < end; i++) {
        runs[i].value = saturating_sum(runs[i].value, weight);
    }
    /* neighbours that have become equal are one run again */
    if (end < c->n_runs && runs[end].value == runs[end - 1].value) {
        memmove(&runs[end], &runs[end + 1], (--c->n_runs - end) * sizeof(*runs));
    }
    if (k > 0 && runs[k].value == runs[k - 1].value) {
        memmove(&runs[k], &runs[k + 1], (--c->n_runs - k) * sizeof(*runs));
    }
}

/* ---- arrays ---- */

/* For each width: the greatest of a range, and addition to one in which nothing overflows. Compilers vectorise both. */
/* NOLINTBEGIN(bugprone-macro-parentheses): a type cannot stand in any */
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
/* NOLINTEND(bugprone-macro-parentheses) */

uint64_t counters_max(const Counters *c, size_t first, size_t n)
{
    uint64_t max = 0;

    if (counters_has_array(c)) {
        switch (c->width) {
        case 1:
            return range_max_uint8_t((const uint8_t *)c->data + first, n);
        case 2:
            return range_max_uint16_t((const uint16_t *)c->data + first, n);
        default:
            return range_max_uint64_t((const uint64_t *)c->data + first, n);
        }
    }
    for (size_t i = first; i < first + n; i += counters_stretch(c, i, first + n)) {
        max = MAX(max, counters_get(c, i));
    }
    return max;
}

/* Counters stop at 2^64 - 1; every other overflow is one of the width, and was prevented. */
static void add_saturating(uint64_t *p, size_t n, uint64_t weight)
{
    for (size_t i = 0; i < n; i++) {
        p[i] = saturating_sum(p[i], weight);
    }
}

static bool add_to_array(Counters *c, size_t size, size_t first, size_t n, uint64_t weight)
{
    uint64_t sum = saturating_sum(counters_max(c, first, n), weight);

    if (!counters_has_array(c) || sum > width_max[c->width]) {
        uint64_t needed = counters_has_array(c) ? sum : MAX(sum, counters_max(c, 0, size));

        if (!widen(c, size, width_for(needed))) {
            return false;
        }
    }
    switch (c->width) {
    case 1:
        range_add_uint8_t((uint8_t *)c->data + first, n, (uint8_t)weight);
        break;
    case 2:
        range_add_uint16_t((uint16_t *)c->data + first, n, (uint16_t)weight);
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

/* ---- counting ---- */

bool counters_add(Counters *c, size_t size, size_t first, size_t n, uint64_t weight)
{
    if (n == size && !c->data) {
        c->value = saturating_sum(c->value, weight);
        return true;
    }
    if (room_for_runs(c)) {
        add_to_runs(c, size, first, n, weight);
        return true;
    }
    return add_to_array(c, size, first, n, weight);
}

bool counters_add_scattered(Counters *c, size_t size, const uint16_t *at, size_t n, uint64_t weight)
{
    size_t i = 0;

    if (!counters_has_array(c) && n > MAX_RUNS / 4 && !widen(c, size, width_for(counters_max(c, 0, size)))) {
        return false;
    }
    if (counters_has_array(c) && c->width == 1 && weight <= UINT8_MAX) {
        uint8_t *p = c->data;

        while (i < n && p[at[i]] <= UINT8_MAX - weight) {
            p[at[i++]] += (uint8_t)weight;
        }
    }
    for (; i < n; i++) {
        if (!counters_add(c, size, at[i], 1, weight)) {
            return false;
        }
    }
    return true;
}

static uint64_t joined(uint64_t a, uint64_t b, uint64_t several)
{
    if (!a || a == b) {
        return b;
    }
    return a > several || b > several ? MAX(a, b) : several;
}

bool counters_join(Counters *c, size_t size, size_t first, size_t n, uint64_t label, uint64_t several)
{
    assert(label >= 1 && first + n <= size);
    for (size_t i = first; i < first + n;) {
        uint64_t value;
        size_t same = counters_same(c, i, first + n, &value);
        uint64_t to = joined(value, label, several);

        /* joining never makes a label smaller */
        if (to != value && !counters_add(c, size, i, same, to - value)) {
            return false;
        }
        i += same;
    }
    return true;
}

bool counters_subtract(Counters *c, size_t size, size_t i, uint64_t n)
{
    uint64_t value = counters_get(c, i);

    assert(i < size);
    if (!counters_has_array(c) && !widen(c, size, width_for(counters_max(c, 0, size)))) {
        return false;
    }
    set(c->data, c->width, i, value - MIN(value, n));
    return true;
}

bool counters_set_runs(Counters *c, const CounterRun *runs, size_t n)
{
    assert(!c->data && n >= 1 && runs[0].first == 0);
    if (n == 1) {
        c->value = runs->value;
        return true;
    }
    c->data = g_try_new(CounterRun, runs_held(n));
    if (c->data) {
        memcpy(c->data, runs, n * sizeof(*runs));
        c->n_runs = (uint16_t)n;
    }
    return c->data != NULL;
}

/* The number of values from @i on, below @end, that are the same as value @i. */
static size_t same_values(const void *values, unsigned width, size_t i, size_t end)
{
    uint64_t value = load(values, width, i);
    size_t k = i + 1;

    if (width == 1) {
        return memory_not_equal_to((const uint8_t *)values + i, (uint8_t)value, end - i);
    }
    while (k < end && load(values, width, k) == value) {
        k++;
    }
    return k - i;
}

/* Finds the runs of the values; 0 where there are more than @most. */
static size_t find_runs(const void *values, unsigned width, size_t size, CounterRun *runs, size_t most)
{
    size_t n = 0;

    for (size_t i = 0; i < size; i += same_values(values, width, i, size)) {
        if (n == most) {
            return 0;
        }
        runs[n++] = (CounterRun){.value = load(values, width, i), .first = (uint16_t)i};
    }
    return n;
}

bool counters_set(Counters *c, size_t size, const void *values, unsigned width)
{
    CounterRun runs[RUNS_MOST];
    size_t n_runs = find_runs(values, width, size, runs, CLAMP(size / RUNS_SHARE / sizeof(CounterRun), 1, RUNS_MOST));
    uint64_t max = 0;

    assert(width == 1 || width == 8);
    assert(size <= COUNTERS_PER_PIECE);
    if (n_runs) {
        return counters_set_runs(c, runs, n_runs);
    }
    for (size_t i = 0; i < size; i++) {
        max = MAX(max, load(values, width, i));
    }
    c->width = width_for(max);
    c->data = g_try_malloc(size * c->width);
    if (!c->data) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        set(c->data, c->width, i, load(values, width, i));
    }
    return true;
}

void counters_clamp(Counters *c, size_t size, uint64_t max)
{
    if (!c->data) {
        c->value = MIN(c->value, max);
    } else if (!c->width) {
        for (size_t i = 0; i < c->n_runs; i++) {
            CounterRun *run = (CounterRun *)c->data + i;

            run->value = MIN(run->value, max);
        }
    } else {
        for (size_t i = 0; i < size; i++) {
            set(c->data, c->width, i, MIN(counters_get(c, i), max));
        }
    }
}

size_t counters_find_above(const Counters *c, size_t size, size_t first, uint64_t limit)
{
    /* whole pieces are mostly far below every limit that there is */
    if ((counters_has_array(c) && width_max[c->width] <= limit) || counters_max(c, first, size - first) <= limit) {
        return size;
    }
    while (first < size && counters_get(c, first) <= limit) {
        first += counters_stretch(c, first, size);
    }
    return first;
}
