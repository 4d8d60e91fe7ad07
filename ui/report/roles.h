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
    uint64_t runs; /* runs written */
    uint64_t step; /* clusters that count as one, a power of two */
} ReportRoles;

/* Writes the element "roles", with at most @most runs. Marks the clusters that corruptions concern. */
ReportRoles report_write_roles(FILE *out, const Qcow2CheckResult *result, uint64_t most);

#endif
