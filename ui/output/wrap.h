/*
 * Text in lines of a given width.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_OUTPUT_WRAP_H
#define UI_OUTPUT_WRAP_H

#include <stddef.h>
#include <stdio.h>

/*
 * Prints @text, which is UTF-8 without control characters, and a newline. Lines break at spaces and have at most
 * @columns characters, but for a word that is longer. The first line begins at @column, which the caller has reached;
 * the others are indented by @indent.
 */
void print_wrapped(FILE *out, const char *text, size_t column, size_t indent, size_t columns);

#endif
