/*
 * The roles of all clusters, packed into a report.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_REPORT_ROLES_H
#define UI_REPORT_ROLES_H

#include <stdint.h>
#include <stdio.h>

#include "block/qcow2.h"

typedef struct ReportRoles {
    uint64_t runs; /* that were written */
    uint64_t step; /* clusters that were taken together; a power of two */
} ReportRoles;

/* Writes the element "roles", with no more than @most runs; what findings are about is marked as corrupt. */
ReportRoles report_write_roles(FILE *out, const Qcow2CheckResult *result, uint64_t most);

#endif
