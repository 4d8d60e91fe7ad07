/*
 * Messages on stderr: see util/error-report.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/error-report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/secrets.h"
#include "util/text.h"

static const char *usage_command = "";

static void report(const char *format, va_list arguments) G_GNUC_PRINTF(1, 0);

void error_print_line(const char *line, size_t size)
{
    if (isatty(STDERR_FILENO)) {
        g_autofree char *safe = text_escape(line, size);

        fputs(safe, stderr);
    } else {
        fwrite(line, 1, size, stderr);
    }
    fputc('\n', stderr);
}

static void report(const char *format, va_list arguments)
{
    g_autofree char *whole = g_strdup_vprintf(format, arguments);
    g_autofree char *text = secrets_hide(whole);
    g_auto(GStrv) lines = g_strsplit(text, "\n", 0); /* messages have line ends of their own */

    fprintf(stderr, "%s: ", g_get_prgname());
    for (char **line = lines; *line; line++) {
        error_print_line(*line, strlen(*line));
    }
}

void error_report(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    report(format, arguments);
    va_end(arguments);
}

void error_report_set_command(const char *command)
{
    usage_command = command;
}

void error_report_usage(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    report(format, arguments);
    va_end(arguments);
    fprintf(stderr, "Try 'qemu-img%s%s --help' for more information\n", *usage_command ? " " : "", usage_command);
}
