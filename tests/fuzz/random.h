/*
 * Random numbers of a mutator: the same from the same seed, everywhere.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_FUZZ_RANDOM_H
#define TESTS_FUZZ_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

typedef struct Random {
    uint64_t state; /* not 0 */
} Random;

static inline Random random_from(unsigned seed)
{
    return (Random){(seed + UINT64_C(1)) * UINT64_C(0x9e3779b97f4a7c15)};
}

static inline uint64_t random_number(Random *random)
{
    /* xorshift64*, by Vigna */
    random->state ^= random->state >> 12;
    random->state ^= random->state << 25;
    random->state ^= random->state >> 27;
    return random->state * UINT64_C(0x2545f4914f6cdd1d);
}

/* 0 .. @n - 1; 0 for 0. */
static inline uint64_t random_below(Random *random, uint64_t n)
{
    return n ? (random_number(random) >> 8) % n : 0;
}

static inline bool random_one_in(Random *random, unsigned n)
{
    return random_below(random, n) == 0;
}

/* A number that hurts, in the place of @old, which has so many bits. */
static inline uint64_t random_instead_of(Random *random, uint64_t old, unsigned bits)
{
    switch (random_below(random, 9)) {
    case 0:
        return 0;
    case 1:
        return 1 + random_below(random, 4);
    case 2:
        return old + 1;
    case 3:
        return old - 1;
    case 4:
        return old * 2;
    case 5:
        return UINT64_MAX >> random_below(random, bits);
    case 6:
        return random_number(random) >> random_below(random, 64);
    default:
        return old ^ UINT64_C(1) << random_below(random, bits);
    }
}

#endif
