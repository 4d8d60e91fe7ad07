/*
 * The program under test, in this process, on an image in memory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_PROOF_SMALL_PROGRAM_H
#define TESTS_PROOF_SMALL_PROGRAM_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "reader.h"

typedef struct ProgramResult {
    char *refusal; /* NULL: it opens; owned */
    int64_t corruptions, leaks, errors;
    int64_t total, allocated, fragmented, compressed;
    int64_t end;      /* 0: not known */
    const char *text; /* on standard error; until the next check */
} ProgramResult;

void program_check(const uint8_t *bytes, uint64_t length, ProgramResult *result);
void program_result_clear(ProgramResult *result);

/* How @result differs from what @reader says must be there; to be freed, or NULL. */
char *program_differs(const ProgramResult *result, const ReaderResult *reader);

#endif
