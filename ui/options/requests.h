/*
 * What --attach, --drop and --zero ask for, in words.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_OPTIONS_REQUESTS_H
#define UI_OPTIONS_REQUESTS_H

#include <stdbool.h>

#include "block/repair-request.h"

/* Each reads @text into @request, whose name the caller frees. False where it is none of the forms that there are. */
bool request_parse_attach(const char *text, Qcow2Request *request); /* OFFSET=PLACE */
bool request_parse_drop(const char *text, Qcow2Request *request); /* the name of a thing, bitmap:NAME or snapshot:ID */
bool request_parse_zero(const char *text, Qcow2Request *request); /* guest:OFFSET+LENGTH */

#endif
