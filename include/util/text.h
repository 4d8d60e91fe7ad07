/*
 * Text from an image, made fit to be shown.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_TEXT_H
#define UTIL_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * A copy of the @size bytes at @text that is safe to show on a terminal: control characters and bytes that are
 * not valid UTF-8 become \xNN, everything else stays as it is. The caller frees it.
 */
char *text_escape_control(const char *text, size_t size);

#endif
