/*
 * The result of a check in JSON: see ui/output/json.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/output/json.h"

#include "qapi/json-output.h"
#include "qapi/qapi-visit.h"

/* The stock tool leaves out what is 0. */
static void choose_members(ImageCheck *check, bool all)
{
    check->has_image_end_offset = all || check->image_end_offset != 0;
    check->has_corruptions = all || check->corruptions != 0;
    check->has_leaks = all || check->leaks != 0;
    check->has_corruptions_fixed = all || check->corruptions_fixed != 0;
    check->has_leaks_fixed = all || check->leaks_fixed != 0;
    check->has_total_clusters = all || check->total_clusters != 0;
    check->has_allocated_clusters = all || check->allocated_clusters != 0;
    check->has_fragmented_clusters = all || check->fragmented_clusters != 0;
    check->has_compressed_clusters = all || check->compressed_clusters != 0;
}

void print_rollback_json(FILE *out, ImageRollback *rollback)
{
    g_autoptr(Visitor) visitor = json_output_visitor_new(out, true);

    visit_type_ImageRollback(visitor, NULL, rollback, NULL);
    visit_complete(visitor, NULL);
    fputc('\n', out);
}

void print_rescue_json(FILE *out, ImageRescue *rescue)
{
    g_autoptr(Visitor) visitor = json_output_visitor_new(out, true);

    visit_type_ImageRescue(visitor, NULL, rescue, NULL);
    visit_complete(visitor, NULL);
    fputc('\n', out);
}

void print_check_json(FILE *out, ImageCheck *check, bool all_fields, bool pretty)
{
    g_autoptr(Visitor) visitor = json_output_visitor_new(out, pretty);

    choose_members(check, all_fields);
    visit_type_ImageCheck(visitor, NULL, check, NULL);
    visit_complete(visitor, NULL);
    fputc('\n', out);
}
