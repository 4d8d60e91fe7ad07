/*
 * The qcow2 driver: a check, and what is asked for with it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2.h"

#include <errno.h>

#include "block/qcow2/check/change-detector.h"
#include "block/qcow2/inspect/diagnostics.h"
#include "block/qcow2/inspect/explain.h"
#include "block/qcow2/inspect/lookup.h"
#include "block/qcow2/inspect/mappings.h"
#include "block/qcow2/inspect/result.h"
#include "block/qcow2/inspect/roles.h"
#include "block/qcow2/inspect/space.h"
#include "block/qcow2/inspect/summary.h"

static bool add_findings(Qcow2Check *c, Qcow2Diagnostics *diagnostics, Qcow2CheckResult *result, GError **errp)
{
    if (!c->collector) {
        return true;
    }
    result->check->has_findings = true; /* what is not said to be there is not freed */
    if (diagnostics) {
        qcow2_add_diagnostics(diagnostics, c);
        if (!qcow2_explain_findings(c, errp)) {
            return false;
        }
    }
    return qcow2_collector_finish(c->collector, &result->check->findings, errp);
}

static bool add_space(Qcow2Roles *roles, Qcow2Space *space, Qcow2CheckResult *result, GError **errp)
{
    result->roles = roles ? qcow2_roles_finish(roles, errp) : NULL;
    if (result->roles && space) {
        result->check->space = qcow2_space_finish(space, result->roles, errp);
    }
    return (!roles || result->roles) && (!space || result->check->space);
}

static void layout_free(Qcow2Layout *layout)
{
    qapi_clear_Qcow2Summary(&layout->facts);
    mappings_clear(&layout->mappings);
    g_free(layout);
}

static Qcow2Layout *layout_new(const Qcow2Image *image, Qcow2MappingCollector *mappings, GError **errp)
{
    Qcow2Layout *layout = g_new0(Qcow2Layout, 1);

    if (!qcow2_mapping_collector_finish(mappings, &layout->mappings, errp)) {
        layout_free(layout);
        return NULL;
    }
    if (!qcow2_summary(image, &layout->facts)) {
        layout_free(layout);
        g_set_error_literal(errp, BLOCK_ERROR, ENOMEM, "No memory for the facts of the image");
        return NULL;
    }
    return layout;
}

/* The verdict stands without an answer. */
static bool add_explanation(Qcow2Check *c, Qcow2CheckResult *result, GError **errp)
{
    const Qcow2Question *q = c->options->question;
    g_autoptr(ImageCheckExplanation) answer = g_new0(ImageCheckExplanation, 1);
    GError *error = NULL;

    if (q->guest) {
        answer->guest = qcow2_lookup_guest(c, q->offset, q->snapshot, &error);
    } else {
        answer->host = qcow2_lookup_host(c, q->offset, result->roles, &result->check->findings, &error);
    }
    if (g_error_matches(error, BLOCK_ERROR, ENOENT)) {
        result->no_answer = error;
    } else if (error) {
        g_propagate_error(errp, error);
        return false;
    } else {
        result->check->explanation = g_steal_pointer(&answer);
    }
    return true;
}

bool qcow2_check(Qcow2Image *image, const Qcow2CheckOptions *options, Qcow2CheckResult *result, GError **errp)
{
    g_auto(Qcow2Check) c = {0};
    g_auto(Qcow2ChangeDetector) watch = {0};
    bool wants_roles = options->roles || options->space || options->question;
    g_autoptr(Qcow2Roles) roles = wants_roles ? qcow2_roles_new(&c, image) : NULL;
    g_autoptr(Qcow2Space) space =
        options->space ? qcow2_space_new(&c, roles, image->source, options->workers > 1) : NULL;
    const Qcow2TableVisitor *visitor = space ? qcow2_space_visitor(space) : roles ? qcow2_roles_visitor(roles) : NULL;
    g_autoptr(Qcow2Diagnostics) diagnostics = options->findings ? qcow2_diagnostics_new(image, visitor) : NULL;
    g_autoptr(Qcow2MappingCollector) mappings = NULL;

    *result = (Qcow2CheckResult){0};
    if (options->detect_changes) {
        qcow2_change_detector_begin(&watch, image);
    }
    visitor = diagnostics ? qcow2_diagnostics_visitor(diagnostics) : visitor;
    if (options->layout) {
        mappings = qcow2_mapping_collector_new(&image->header, &c.regions, options->workers, visitor);
        visitor = qcow2_mapping_collector_visitor(mappings);
    }
    if (!qcow2_check_count(&c, image, options, visitor, errp) || !qcow2_check_report(&c, errp)) {
        return false;
    }
    if (options->reported &&
        !options->reported(options->opaque, image, !c.report.corruptions && !c.report.check_errors && !c.report.failure,
                           errp)) {
        return false;
    }
    result->check = qcow2_check_verdict(&c);
    result->failure = c.report.failure;
    result->changed = options->detect_changes && qcow2_change_detector_changed(&watch);
    result->notes = qcow2_check_notes(&c, result->changed);
    return add_findings(&c, diagnostics, result, errp) && add_space(roles, space, result, errp) &&
           (!options->question || add_explanation(&c, result, errp)) &&
           (!mappings || (result->layout = layout_new(image, mappings, errp))) &&
           (!options->viscera || qcow2_check_add_viscera(&c, result, errp));
}

void qcow2_check_result_clear(Qcow2CheckResult *result)
{
    g_clear_pointer(&result->check, qapi_free_ImageCheck);
    g_clear_error(&result->not_repaired);
    g_clear_error(&result->no_answer);
    g_clear_pointer(&result->roles, cluster_roles_free);
    g_clear_pointer(&result->layout, layout_free);
    g_clear_pointer(&result->notes, g_strfreev);
}
