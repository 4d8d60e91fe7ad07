/*
 * Text from an image, escaped for the terminal.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_TEXT_H
#define UTIL_TEXT_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Appends the character at @at, of which @left bytes (at least 1) are readable, escaped for a terminal: control
 * characters, direction marks and bytes that are not UTF-8 become escape sequences; with @quoted double quotes and
 * backslashes too. Returns the number of bytes read.
 */
size_t text_append_escaped(GString *out, const char *at, size_t left, bool quoted);

/* Returns a copy of the @size bytes at @text, escaped like that, not quoted. The caller frees it. */
char *text_escape(const char *text, size_t size);

#endif
