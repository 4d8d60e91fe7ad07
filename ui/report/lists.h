/*
 * The long lists of a report: mappings, and the offsets of tables and bitmap data.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_REPORT_LISTS_H
#define UI_REPORT_LISTS_H

#include <stdint.h>
#include <stdio.h>

#include "block/mappings.h"
#include "qapi/qapi-types.h"

/* Writes the element "mappings". */
void report_write_mappings(FILE *out, const Mappings *mappings);

/*
 * Writes the element "places" with the lists of @viscera, which may be NULL, and describes them in @lists. Writes at
 * most @most items, all lists taken together.
 */
void report_write_places(FILE *out, const Qcow2Metadata *viscera, uint64_t most, ReportPlacesList *lists);

#endif
