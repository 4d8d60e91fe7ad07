/*
 * The ranges of a file that the floors read.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_BENCH_RANGES_H
#define TESTS_BENCH_RANGES_H

#include <glib.h>
#include <stdint.h>
#include <stdio.h>

typedef struct Range {
    uint64_t start; /* bytes */
    uint64_t end;
} Range;

/* Reads lines "OFFSET SIZE", bytes: an array of Range, sorted and merged, so that no byte is in two of them. */
GArray *ranges_read(FILE *file);

/* The same, cut into pieces of at most @size bytes. */
GArray *ranges_cut(const GArray *ranges, uint64_t size);

#endif
