/*
 * Words of a command: see ui/output/shell-word.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/output/shell-word.h"

#include <glib.h>
#include <string.h>

#include "util/text.h"

static bool is_plain(const char *text)
{
    static const char marks[] = "-_./:=,+@%";

    for (const char *p = text; *p; p++) {
        if (!g_ascii_isalnum(*p) && !strchr(marks, *p)) {
            return false;
        }
    }
    return *text;
}

char *shell_word(const char *text)
{
    g_autofree char *shown = text_escape(text, strlen(text));
    GString *word;

    if (is_plain(text)) {
        return g_strdup(text);
    }
    if (g_str_equal(shown, text)) {
        return g_shell_quote(text);
    }
    word = g_string_new("$'");
    for (const char *p = text; *p; p++) {
        if (!g_ascii_isprint(*p)) {
            g_string_append_printf(word, "\\%03o", (unsigned char)*p);
        } else {
            g_string_append_printf(word, *p == '\\' || *p == '\'' ? "\\%c" : "%c", *p);
        }
    }
    g_string_append_c(word, '\'');
    return g_string_free(word, FALSE);
}
