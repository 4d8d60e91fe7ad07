/*
 * Text from an image, made fit to be shown.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/text.h"

size_t text_append_escaped(GString *out, const char *at, size_t left, bool quoted)
{
    gunichar c = g_utf8_get_char_validated(at, left);
    /* glib takes NUL for the end, or for invalid */
    bool valid = *at && c != (gunichar)-1 && c != (gunichar)-2;

    if (!valid || (c < 0x80 && !g_ascii_isprint(c))) {
        g_string_append_printf(out, "\\x%02x", (guchar)*at);
        return 1;
    }
    if (quoted && (c == '"' || c == '\\')) {
        g_string_append_printf(out, "\\%c", *at);
    } else if (g_unichar_isprint(c)) {
        g_string_append_unichar(out, c);
    } else {
        g_string_append_printf(out, c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
    }
    return g_utf8_skip[(guchar)*at];
}

char *text_escape(const char *text, size_t size)
{
    GString *out = g_string_sized_new(size);

    for (size_t i = 0; i < size;) {
        i += text_append_escaped(out, text + i, size - i, false);
    }
    return g_string_free(out, FALSE);
}
