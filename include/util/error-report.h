/*
 * Telling the user what went wrong: one message on stderr, headed by the name the program was called by.
 *
 * The name is GLib's, g_set_prgname(). stderr may be buffered by the caller.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_ERROR_REPORT_H
#define UTIL_ERROR_REPORT_H

#include <glib.h>

/*
 * Prints "NAME: MESSAGE" and a line end. On a terminal what could steer it is escaped (util/text.h); elsewhere the bytes
 * are the stock tool's, names of files as they are.
 */
void error_report(const char *format, ...) G_GNUC_PRINTF(1, 2);

/* The last of it: prints the @size bytes at @line to stderr in this way, and a line end. */
void error_print_line(const char *line, size_t size);

/* Sets the command, a static string, whose help error_report_usage() points to. Without it the program's help is. */
void error_report_set_command(const char *command);

/* As error_report(), for a mistake on the command line: a last line points to the help. */
void error_report_usage(const char *format, ...) G_GNUC_PRINTF(1, 2);

#endif
