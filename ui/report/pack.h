/*
 * Packed lists of numbers in an HTML page: bytes as base64 text in an element of their own.
 *
 * A small number is one byte: 7 bits each, the lowest first, the highest bit set in all but the last. Numbers are
 * to be below 2^53, which is what a script can hold. Nothing is kept but a buffer.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_REPORT_PACK_H
#define UI_REPORT_PACK_H

#include <glib.h>
#include <stdint.h>
#include <stdio.h>

typedef struct ReportPack {
    FILE *out;
    size_t used;
    uint8_t bytes[3 * 1024]; /* a multiple of 3, so that base64 has no padding within */
} ReportPack;

/* Begins the element with @id in the page that is written to @out. */
void report_pack_begin(ReportPack *pack, FILE *out, const char *id);

void report_pack_number(ReportPack *pack, uint64_t number);

/* The same for numbers that may be negative, small ones of both signs being short. */
void report_pack_signed(ReportPack *pack, int64_t number);

/* Eight bytes, the lowest first: for what may have any bit set. */
void report_pack_word(ReportPack *pack, uint64_t word);

/* Ends the element. */
void report_pack_end(ReportPack *pack);

#endif
