/*
 * Properties of the terminal: see ui/output/terminal.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/output/terminal.h"

#include <glib.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define USUAL_COLUMNS 80u
#define MOST_COLUMNS  1000u

unsigned terminal_columns(int fd)
{
    const char *wish = g_getenv("COLUMNS");
    unsigned long columns = wish ? strtoul(wish, NULL, 10) : 0;
    struct winsize size;

    if (columns == 0) {
        columns = ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : USUAL_COLUMNS;
    }
    return (unsigned)MIN(columns, MOST_COLUMNS);
}

bool terminal_has_colours(int fd)
{
    const char *declined = g_getenv("NO_COLOR"), *kind = g_getenv("TERM");

    return isatty(fd) && !(declined && *declined) && kind && *kind && !g_str_equal(kind, "dumb");
}
