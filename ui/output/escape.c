/*
 * Showing untrusted bytes: see ui/output/escape.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/output/escape.h"

#include <string.h>

#include "util/text.h"

void print_escaped(FILE *out, const char *bytes, size_t limit)
{
    g_autoptr(GString) text = g_string_new(NULL);
    size_t left = strlen(bytes);
    size_t width = 0;

    while (left) {
        size_t taken;

        g_string_truncate(text, 0);
        taken = text_append_escaped(text, bytes, left, true);
        bytes += taken;
        left -= taken;
        width += g_utf8_strlen(text->str, text->len);
        if (limit && width > limit) {
            fputs("...", out);
            return;
        }
        fputs(text->str, out);
    }
}
