/*
 * Packed lists of numbers in an HTML page: base64 text in an element of its own.
 *
 * A number takes one byte for each 7 bits, the lowest first; all but the last byte have their highest bit set. Numbers
 * have to be below 2^53, the limit of numbers in JavaScript.
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
    uint8_t bytes[3 * 1024]; /* a multiple of 3, so that base64 has no padding before the end */
} ReportPack;

/* Begins the element with @id in the page @out. */
void report_pack_begin(ReportPack *pack, FILE *out, const char *id);

/* Appends @number. */
void report_pack_number(ReportPack *pack, uint64_t number);

/* Appends a number that may be negative; small numbers of both signs are short. */
void report_pack_signed(ReportPack *pack, int64_t number);

/* Appends eight bytes, the lowest first: for a word of which any bit may be set. */
void report_pack_word(ReportPack *pack, uint64_t word);

/* Writes the rest of the buffer, and ends the element. */
void report_pack_end(ReportPack *pack);

#endif
