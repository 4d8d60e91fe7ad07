/*
 * Printing of untrusted bytes from an image.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_OUTPUT_ESCAPE_H
#define UI_OUTPUT_ESCAPE_H

#include <stddef.h>
#include <stdio.h>

/*
 * Prints the string @bytes like the inside of a C string literal: printable characters as they are; control characters,
 * direction marks and bytes that are not UTF-8 as escape sequences. Cuts a text of more than @limit columns, and ends
 * it with "..."; 0: no limit.
 */
void print_escaped(FILE *out, const char *bytes, size_t limit);

#endif
