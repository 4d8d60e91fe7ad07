/*
 * Text in lines of a given width: see ui/output/wrap.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/output/wrap.h"

#include <glib.h>
#include <stdbool.h>
#include <string.h>

void print_wrapped(FILE *out, const char *text, size_t column, size_t indent, size_t columns)
{
    bool begun = false; /* a word is on the line, or the caller's text that goes on */

    while (*text) {
        size_t length = strcspn(text, " ");
        size_t width = (size_t)g_utf8_strlen(text, (gssize)length);

        if (begun && column + 1 + width > columns) {
            fprintf(out, "\n%*s", (int)indent, "");
            column = indent;
        } else if (begun) {
            fputc(' ', out);
            column++;
        }
        fwrite(text, 1, length, out);
        column += width;
        begun = true;
        text += length + strspn(text + length, " ");
    }
    fputc('\n', out);
}
