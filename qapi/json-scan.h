/*
 * The scanner in front of json-glib.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QAPI_JSON_SCAN_H
#define QAPI_JSON_SCAN_H

#include <glib.h>

/*
 * A copy of the JSON text @text that json-glib can be trusted with: whole numbers that do not fit into int64_t
 * are in quotes. NULL and @errp set where it is not JSON, or nested too deep. A text of blanks alone passes.
 */
char *json_scan(const char *text, GError **errp);

#endif
