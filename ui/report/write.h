/*
 * The report of a check: one HTML page that needs no network.
 *
 * The page has three parts: the template (ui/report/page/report.html), the data, and the script that shows them.
 * docs/interop/report.rst describes the data. Names from the image are JSON strings that cannot end their element, and
 * the script uses them as text only.
 *
 * Long lists are cut to some million items each, so that the page of any image is smaller than 30 MiB.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_REPORT_WRITE_H
#define UI_REPORT_WRITE_H

#include <glib.h>
#include <stdbool.h>
#include <stdio.h>

#include "block/qcow2.h"

/* The first bytes of a report. */
#define REPORT_SIGNATURE "<!DOCTYPE html>"

/* Sets what report_write() needs from a check in @options: findings, judgement, roles, viscera, mappings. */
void report_ask(Qcow2CheckOptions *options);

/*
 * Writes the report of @result, a check at the time @when (seconds since 1970), to @out, whose error flag the caller
 * checks. False and @errp set if there is no memory.
 */
bool report_write(FILE *out, const Qcow2CheckResult *result, int64_t when, GError **errp);

#endif
