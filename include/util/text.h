/*
 * Text from an image, made fit to be shown.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_TEXT_H
#define UTIL_TEXT_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Appends the character at @at, of which @left bytes (at least 1) are there, so that it is safe to show on a
 * terminal: controls, direction marks and the like, and what is no UTF-8, become escape sequences; with @quoted
 * so do double quotes and backslashes. Returns the bytes that it took of @at.
 */
size_t text_append_escaped(GString *out, const char *at, size_t left, bool quoted);

/* A copy of the @size bytes at @text, escaped in this way, unquoted. The caller frees it. */
char *text_escape(const char *text, size_t size);

#endif
