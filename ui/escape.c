/*
 * Showing untrusted bytes: see ui/escape.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/escape.h"

#include <glib.h>
#include <stdbool.h>

/* Appends the character at @at to @text, escaped where needed, and returns how many bytes it has. */
static size_t escape_character(GString *text, const char *at)
{
    gunichar c = g_utf8_get_char_validated(at, -1);
    bool valid = c != (gunichar)-1 && c != (gunichar)-2;

    if (!valid || (c < 0x80 && !g_ascii_isprint(c))) {
        g_string_append_printf(text, "\\x%02x", (guchar)*at);
        return 1;
    }
    if (c == '"' || c == '\\') {
        g_string_append_printf(text, "\\%c", *at);
    } else if (g_unichar_isprint(c)) {
        g_string_append_unichar(text, c);
    } else {
        g_string_append_printf(text, c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
    }
    return g_utf8_skip[(guchar)*at];
}

void print_escaped(FILE *out, const char *bytes, size_t limit)
{
    g_autoptr(GString) text = g_string_new(NULL);
    size_t width = 0;

    while (*bytes) {
        g_string_truncate(text, 0);
        bytes += escape_character(text, bytes);
        width += g_utf8_strlen(text->str, text->len);
        if (limit && width > limit) {
            fputs("...", out);
            return;
        }
        fputs(text->str, out);
    }
}
