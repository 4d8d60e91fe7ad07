/*
 * Values of options as texts: "on", "-5", "1.5G". Pure, thread safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QAPI_OPTION_TEXT_H
#define QAPI_OPTION_TEXT_H

#include <stdbool.h>
#include <stdint.h>

/* Parse on, yes, true, y, off, no, false or n. False for any other text. */
bool option_parse_bool(const char *text, bool *value);

/* Parse decimal digits, perhaps behind a minus sign. False for any other text, and for a magnitude above 2^64 - 1. */
bool option_parse_integer(const char *text, bool *negative, uint64_t *magnitude);

typedef enum OptionSize { OPTION_SIZE_GOOD, OPTION_SIZE_MALFORMED, OPTION_SIZE_OUT_OF_RANGE } OptionSize;

/* Parse digits, or digits with a fraction and a suffix, or 0x and hexadecimal digits: a number of bytes below 2^64. */
OptionSize option_parse_size(const char *text, uint64_t *size);

#endif
