/*
 * Showing bytes that anybody may have put into an image.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_OUTPUT_ESCAPE_H
#define UI_OUTPUT_ESCAPE_H

#include <stddef.h>
#include <stdio.h>

/*
 * Writes @bytes as a C string literal would have them, without the quotes around: characters that print as they
 * are; controls, direction marks and the like, and what is no UTF-8 as escape sequences. A text that takes more
 * than @limit columns is cut, and "..." ends it; 0 means no limit.
 */
void print_escaped(FILE *out, const char *bytes, size_t limit);

#endif
