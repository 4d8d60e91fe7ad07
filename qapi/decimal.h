/*
 * Decimal digits of a number, fast: lists of millions of numbers are common.
 *
 * Thread safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QAPI_DECIMAL_H
#define QAPI_DECIMAL_H

#include <stdint.h>

#define DECIMAL_MAX_DIGITS 20

/* Write the digits of @value at @to, at most DECIMAL_MAX_DIGITS, without a zero behind them. Return their end. */
char *decimal_write(char *to, uint64_t value);

#endif
