/*
 * What must hold for the findings of any check.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_UNIT_BLOCK_FINDINGS_H
#define TESTS_UNIT_BLOCK_FINDINGS_H

#include "qapi/qapi-types.h"

/* Each finding says what it counts as, and how often; so the list, however short it is cut, has the counts of @check.
 */
static inline void assert_findings_add_up(const ImageCheck *check)
{
    g_auto(QapiIterator) each = qapi_iterate(&check->findings);
    int64_t counted[IMAGE_CHECK_SEVERITY__MAX] = {0};

    for (const ImageCheckFinding *f; (f = qapi_next(&each));) {
        counted[f->severity] += f->count;
    }
    g_assert_cmpint(counted[IMAGE_CHECK_SEVERITY_CORRUPTION], ==, check->corruptions);
    g_assert_cmpint(counted[IMAGE_CHECK_SEVERITY_LEAK], ==, check->leaks);
    g_assert_cmpint(counted[IMAGE_CHECK_SEVERITY_ERROR], ==, check->check_errors);
}

#endif
