/*
 * The result of a check in JSON: see ui/check-output.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/check-output.h"

#include "qapi/json-output.h"
#include "qapi/qapi-visit.h"

static void leave_out_zeros(ImageCheck *check)
{
    check->has_image_end_offset = check->image_end_offset != 0;
    check->has_corruptions = check->corruptions != 0;
    check->has_leaks = check->leaks != 0;
    check->has_corruptions_fixed = check->corruptions_fixed != 0;
    check->has_leaks_fixed = check->leaks_fixed != 0;
    check->has_total_clusters = check->total_clusters != 0;
    check->has_allocated_clusters = check->allocated_clusters != 0;
    check->has_fragmented_clusters = check->fragmented_clusters != 0;
    check->has_compressed_clusters = check->compressed_clusters != 0;
}

void print_check_json(FILE *out, ImageCheck *check, bool all_fields)
{
    g_autoptr(Visitor) visitor = json_output_visitor_new(out, true);

    if (!all_fields) {
        leave_out_zeros(check);
    }
    visit_type_ImageCheck(visitor, NULL, check, NULL);
    visit_complete(visitor, NULL);
    fputc('\n', out);
}
