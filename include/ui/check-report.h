/*
 * `qemu-img check --report`: puts the report of a check where the user wants it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_CHECK_REPORT_H
#define UI_CHECK_REPORT_H

#include <glib.h>
#include <stdbool.h>

#include "block/qcow2.h"
#include "ui/check-options.h"

/*
 * Writes the report that @options ask for; @result has what report_ask() asked for. False and @errp set, with a
 * message that says all, when it cannot be written.
 */
bool check_report_write(const CheckOptions *options, const Qcow2CheckResult *result, GError **errp);

#endif
