/*
 * Messages to the user on stderr, each headed by the name of the program.
 *
 * The name is GLib's, g_set_prgname(). stderr may be buffered by the caller.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_ERROR_REPORT_H
#define UTIL_ERROR_REPORT_H

#include <glib.h>

/*
 * Prints "NAME: MESSAGE" and a line end. On a terminal, characters that could control it are escaped (util/text.h);
 * elsewhere the bytes are the stock tool's, file names unchanged, but for what grants access to an image
 * (util/secrets.h).
 */
void error_report(const char *format, ...) G_GNUC_PRINTF(1, 2);

/* Prints the @size bytes at @line to stderr, escaped like that, and a line end, without the name. */
void error_print_line(const char *line, size_t size);

/* Sets the command, a static string, whose help error_report_usage() points to. Without it the program's help is. */
void error_report_set_command(const char *command);

/* As error_report(), for a mistake on the command line: a last line points to the help. */
void error_report_usage(const char *format, ...) G_GNUC_PRINTF(1, 2);

#endif
