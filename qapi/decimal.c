/*
 * Decimal digits of a number, fast.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "decimal.h"

#include <string.h>

static const char digit_pairs[] = "00010203040506070809101112131415161718192021222324"
                                  "25262728293031323334353637383940414243444546474849"
                                  "50515253545556575859606162636465666768697071727374"
                                  "75767778798081828384858687888990919293949596979899";

static unsigned count_digits(uint64_t value)
{
    static const uint64_t powers[DECIMAL_MAX_DIGITS] = {
        UINT64_C(0),
        UINT64_C(10),
        UINT64_C(100),
        UINT64_C(1000),
        UINT64_C(10000),
        UINT64_C(100000),
        UINT64_C(1000000),
        UINT64_C(10000000),
        UINT64_C(100000000),
        UINT64_C(1000000000),
        UINT64_C(10000000000),
        UINT64_C(100000000000),
        UINT64_C(1000000000000),
        UINT64_C(10000000000000),
        UINT64_C(100000000000000),
        UINT64_C(1000000000000000),
        UINT64_C(10000000000000000),
        UINT64_C(100000000000000000),
        UINT64_C(1000000000000000000),
        UINT64_C(10000000000000000000),
    };
    unsigned bits = 64 - (unsigned)__builtin_clzll(value | 1);
    unsigned about = bits * 1233 >> 12; /* by the logarithm of 2, one too many at times */

    return about + (value >= powers[about]);
}

/* Two digits at a time: a division takes longer than all else. */
char *decimal_write(char *to, uint64_t value)
{
    char *end = to + count_digits(value), *next = end;
    uint32_t rest;

    while (value >= 100000000) {
        rest = (uint32_t)(value % 100000000);
        value /= 100000000;
        for (unsigned i = 0; i < 4; i++, rest /= 100) {
            memcpy(next -= 2, &digit_pairs[(size_t)(rest % 100) * 2], 2);
        }
    }
    for (rest = (uint32_t)value; rest >= 10; rest /= 100) {
        memcpy(next -= 2, &digit_pairs[(size_t)(rest % 100) * 2], 2);
    }
    if (next > to) {
        *to = (char)('0' + rest);
    }
    return end;
}
