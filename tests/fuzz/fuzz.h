/*
 * What the fuzz targets share: a function that takes one input, and limits for what it may use.
 *
 * A target is a file with LLVMFuzzerTestOneInput(), linked with libFuzzer, or with replay.c where there is none. It
 * ends the process by abort() when something is not as it must be, which the fuzzer takes as it takes a crash. Inputs
 * are what a user could have: image files, undo files, option strings.
 *
 * Not thread safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Always returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* What the code under test may use between limits_begin() and limits_end(). */
#define LIMIT_COMPARISONS (1000 * 256 * 1024) /* 1000 for each byte of the largest input; known where work.h counts */
#define LIMIT_MEMORY_BYTES                                                                                             \
    ((size_t)64 * 1048576) /* on the heap at once; known in builds with AddressSanitizer only                          \
                            */

void limits_begin(void);

/* Aborts where a limit was exceeded since limits_begin(); @what is said then. */
void limits_end(const char *what);

#endif
