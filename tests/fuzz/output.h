/*
 * Output of the code under test, of which only what matters is kept: how long it is and whether it may be shown.
 *
 * Output of a broken image may be large, and is not to count as memory that a check took.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_FUZZ_OUTPUT_H
#define TESTS_FUZZ_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct Output {
    uint64_t size; /* bytes */
    uint64_t hash; /* of all of them */
    bool controls; /* something that a terminal would act upon was among them */
} Output;

/* A stream whose bytes go into @output, which must outlive it; to be closed by the caller. */
FILE *output_begin(Output *output);

/* Aborts unless all that was written may be shown on a terminal. */
void output_is_printable(const Output *output);

/* A number that follows from the bytes. */
uint64_t output_hash(const uint8_t *bytes, size_t size);

#endif
