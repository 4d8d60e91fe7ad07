/*
 * The qcow2 driver: a check, and what is asked for with it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2.h"

#include "block/qcow2/check/change-detector.h"
#include "block/qcow2/inspect/observers.h"
#include "block/qcow2/inspect/result.h"

/* Lets the caller have a look when all is reported; false ends the check. */
static bool announce(const Qcow2Check *c, GError **errp)
{
    const Qcow2CheckOptions *o = c->options;
    bool right = !c->report.corruptions && !c->report.check_errors && !c->report.failure;

    return !o->reported || o->reported(o->opaque, c->image, right, errp);
}

static void add_verdict(Qcow2Check *c, const Qcow2ChangeDetector *changes, Qcow2CheckResult *result)
{
    result->check = qcow2_check_verdict(c);
    result->failure = c->report.failure;
    result->changed = c->options->detect_changes && qcow2_change_detector_changed(changes);
    result->notes = qcow2_check_notes(c, result->changed);
}

bool qcow2_check(Qcow2Image *image, const Qcow2CheckOptions *options, Qcow2CheckResult *result, GError **errp)
{
    g_auto(Qcow2Check) c = {0};
    g_auto(Qcow2ChangeDetector) changes = {0};
    g_autoptr(Qcow2Observers) observers = qcow2_observers_new(&c, image, options);

    *result = (Qcow2CheckResult){0};
    if (options->detect_changes) {
        qcow2_change_detector_begin(&changes, image);
    }
    if (!qcow2_check_count(&c, image, options, qcow2_observers_visitors(observers), errp) ||
        !qcow2_check_report(&c, errp) || !qcow2_observers_read_data(observers, &c, errp) || !announce(&c, errp)) {
        return false;
    }
    add_verdict(&c, &changes, result);
    if (!qcow2_observers_finish(observers, &c, result, errp)) {
        qcow2_check_result_clear(result);
        return false;
    }
    return true;
}

static void layout_free(Qcow2Layout *layout)
{
    qapi_clear_Qcow2Summary(&layout->summary);
    mappings_clear(&layout->mappings);
    g_free(layout);
}

void qcow2_check_result_clear(Qcow2CheckResult *result)
{
    g_clear_pointer(&result->check, qapi_free_ImageCheck);
    g_clear_pointer(&result->outcome, qapi_free_ImageCheck);
    g_clear_error(&result->not_repaired);
    g_clear_error(&result->no_answer);
    g_clear_pointer(&result->roles, cluster_roles_free);
    g_clear_pointer(&result->layout, layout_free);
    g_clear_pointer(&result->notes, g_strfreev);
}
