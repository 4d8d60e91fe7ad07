/*
 * JSON output: writes the values it is led through as JSON text, straight to a file or a string.
 *
 * Pretty output is laid out as the stock tool does it: four spaces for each level, a member or item on a line of
 * its own. Compact output is a single line. The text is pure ASCII; strings are taken as UTF-8, and each
 * malformed sequence in them becomes U+FFFD (spec check-behaviour 6.2). No newline follows the last character.
 *
 * Nothing is kept but a buffer of fixed size, so output may be of any length. Writing errors are remembered, and
 * visit_complete() reports the first; nothing is complete before it returned true.
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
 * For a <script> element of an HTML page that has it as data: on one line, '<', '>' and '&' in strings escaped, so that
 * nothing in them ends the element; and integers beyond 2^53 as strings of decimal digits, since JavaScript would round
 * them.
 */
Visitor *json_output_visitor_new_html(FILE *file);

/* Appends to @string, which belongs to the caller. */
Visitor *json_output_visitor_new_string(GString *string, bool pretty);

#endif
