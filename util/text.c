/*
 * Text from an image, made fit to be shown.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/text.h"

#include <glib.h>

/* Control characters of ASCII and of Latin 1: a terminal may act on either. */
static bool is_control(gunichar c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

char *text_escape_control(const char *text, size_t size)
{
    GString *out = g_string_sized_new(size);
    const char *end = text + size;

    while (text < end) {
        gunichar c = g_utf8_get_char_validated(text, end - text);
        /* glib gives -1 and -2 for what is not valid, and -2 for NUL at a length: either way one byte is shown */
        bool valid = c != (gunichar)-1 && c != (gunichar)-2;
        size_t length = valid && c ? (size_t)(g_utf8_next_char(text) - text) : 1;

        if (valid && !is_control(c)) {
            g_string_append_len(out, text, length);
        } else {
            for (size_t i = 0; i < length; i++) {
                g_string_append_printf(out, "\\x%02x", (unsigned char)text[i]);
            }
        }
        text += length;
    }
    return g_string_free(out, FALSE);
}
