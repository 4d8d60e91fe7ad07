/*
 * JSON output: writes the visited values as JSON text, directly to a file or a string.
 *
 * Pretty output has the layout of the stock tool: four spaces for each level, a member or item on a line of its own.
 * Compact output is a single line. The text is pure ASCII; strings are read as UTF-8, and each malformed sequence in
 * them becomes U+FFFD (docs/interop/check-behaviour.rst 6.2). No newline follows the last character.
 *
 * The visitor keeps a buffer of fixed size and nothing else, so output may have any length. It keeps the first write
 * error, and visit_complete() reports it; the output is complete only after that has returned true.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QAPI_JSON_OUTPUT_H
#define QAPI_JSON_OUTPUT_H

#include <stdio.h>

#include "qapi/visitor.h"

/* Writes to @file, which stays open and belongs to the caller. visit_complete() flushes it. */
Visitor *json_output_visitor_new(FILE *file, bool pretty);

/*
 * For the data of a <script> element in an HTML page: one line, in which '<', '>' and '&' in strings are escaped, so
 * that no string ends the element, and integers beyond 2^53 are strings of decimal digits, as JavaScript would round
 * them.
 */
Visitor *json_output_visitor_new_html(FILE *file);

/* Appends to @string, which belongs to the caller. */
Visitor *json_output_visitor_new_string(GString *string, bool pretty);

#endif
