/*
 * Messages on stderr: see util/error-report.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "util/error-report.h"

#include <stdarg.h>
#include <stdio.h>

static void report(const char *format, va_list arguments) G_GNUC_PRINTF(1, 0);

static void report(const char *format, va_list arguments)
{
    fprintf(stderr, "%s: ", g_get_prgname());
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

void error_report(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    report(format, arguments);
    va_end(arguments);
}

void error_report_usage(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    report(format, arguments);
    va_end(arguments);
    fputs("Try 'qemu-img --help' for more information\n", stderr);
}
