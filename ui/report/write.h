/*
 * The report of a check: one HTML page with everything in it, for a browser without a network.
 *
 * The page is made of three parts: what is in front of the data (ui/report/report.html), the data, and the script that
 * shows them. docs/interop/report.rst describes the data. Names from the image are in them as JSON in which nothing can
 * end its element, and the script makes nothing but text of them.
 *
 * What is long is cut to some million items each, so that a page of any image has less than some 30 MiB.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_REPORT_WRITE_H
#define UI_REPORT_WRITE_H

#include <glib.h>
#include <stdbool.h>
#include <stdio.h>

#include "block/qcow2.h"

/* With what a report begins. */
#define REPORT_SIGNATURE "<!DOCTYPE html>"

/* What a check has to be asked for, so that report_write() has it all: findings, roles, viscera, layout. */
void report_ask(Qcow2CheckOptions *options);

/*
 * Writes the report of @result, made @when, to @out. Of all that goes wrong with @out the caller learns when he flushes
 * it.
 */
void report_write(FILE *out, const Qcow2CheckResult *result, int64_t when);

#endif
