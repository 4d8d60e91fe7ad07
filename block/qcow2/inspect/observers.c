/*
 * What a check is asked for beside its verdict.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/observers.h"

#include <assert.h>
#include <errno.h>

#include "block/qcow2/inspect/compressed.h"
#include "block/qcow2/inspect/diagnostics.h"
#include "block/qcow2/inspect/explain.h"
#include "block/qcow2/inspect/lookup.h"
#include "block/qcow2/inspect/mappings.h"
#include "block/qcow2/inspect/result.h"
#include "block/qcow2/inspect/roles.h"
#include "block/qcow2/inspect/space.h"
#include "block/qcow2/inspect/summary.h"
#include "block/qcow2/inspect/unreadable.h"

#define OBSERVERS_MOST 8

typedef bool FinishObserver(void *self, Qcow2Check *check, Qcow2CheckResult *result, GError **errp);

typedef struct Observer {
    const Qcow2TableVisitor *visitor; /* NULL: it sees no tables */
    FinishObserver *finish;
    void *self;           /* NULL: it has nothing of its own */
    GDestroyNotify clear; /* of self */
} Observer;

/* What looks for more than a check does. */
typedef struct Diagnosis {
    Qcow2UnreadableFinder *unreadable;
    Qcow2Diagnostics *notes; /* NULL: there is no list for them */
} Diagnosis;

struct Qcow2Observers {
    Observer items[OBSERVERS_MOST];
    unsigned n;
    const Qcow2TableVisitor *visitors[OBSERVERS_MOST + 1]; /* of those that have one; then NULL */
    unsigned n_visitors;
    Qcow2CompressedVerifier *verifier; /* one of the items; NULL: compressed clusters are not verified */
};

/* ---- their parts of the result ---- */

/* Notes, where there is a list for them, and the judgement. */
static bool finish_diagnostics(void *self, Qcow2Check *c, Qcow2CheckResult *result, GError **errp)
{
    Diagnosis *d = self;

    return qcow2_add_diagnostics(d->notes, d->unreadable, c, result->changed, result->check, errp);
}

static bool finish_compressed(void *self, Qcow2Check *c, Qcow2CheckResult *result, GError **errp)
{
    qcow2_compressed_finish(self, result->check);
    return true;
}

static bool finish_findings(void *self, Qcow2Check *c, Qcow2CheckResult *result, GError **errp)
{
    result->check->has_findings = true; /* a list that is not announced is not freed */
    if (c->options->findings && !qcow2_explain_findings(c, errp)) {
        return false;
    }
    result->check->findings = qcow2_finding_records_show(qcow2_collector_finish(c->collector));
    return true;
}

static bool finish_roles(void *self, Qcow2Check *c, Qcow2CheckResult *result, GError **errp)
{
    result->roles = qcow2_roles_finish(self, errp);
    return result->roles;
}

static bool finish_space(void *self, Qcow2Check *c, Qcow2CheckResult *result, GError **errp)
{
    result->check->space = qcow2_space_finish(self, result->roles, errp);
    return result->check->space;
}

/* The verdict stands without an answer. */
static bool finish_answer(void *self, Qcow2Check *c, Qcow2CheckResult *result, GError **errp)
{
    const Qcow2Question *q = c->options->question;
    g_autoptr(ImageCheckExplanation) answer = g_new0(ImageCheckExplanation, 1);
    GError *error = NULL;

    if (q->guest) {
        answer->guest = qcow2_lookup_guest(c, q->offset, q->snapshot, &error);
        if (answer->guest) {
            qcow2_lookup_lost_table(answer->guest, &result->check->findings);
        }
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

static bool finish_layout(void *self, Qcow2Check *c, Qcow2CheckResult *result, GError **errp)
{
    result->layout = g_new0(Qcow2Layout, 1);
    if (!qcow2_mapping_collector_finish(self, &result->layout->mappings, errp)) {
        return false;
    }
    if (!qcow2_summary(c->image, &result->layout->summary)) {
        g_set_error_literal(errp, BLOCK_ERROR, ENOMEM, "No memory for the summary of the image");
        return false;
    }
    return true;
}

static bool finish_viscera(void *self, Qcow2Check *c, Qcow2CheckResult *result, GError **errp)
{
    return qcow2_check_add_viscera(c, result, errp);
}

/* ---- the list ---- */

static void add(Qcow2Observers *o, FinishObserver *finish, const Qcow2TableVisitor *visitor, void *self,
                GDestroyNotify clear)
{
    assert(o->n < OBSERVERS_MOST);
    o->items[o->n++] = (Observer){.visitor = visitor, .finish = finish, .self = self, .clear = clear};
    if (visitor) {
        o->visitors[o->n_visitors++] = visitor;
    }
}

static void diagnosis_free(Diagnosis *d)
{
    qcow2_unreadable_free(d->unreadable);
    qcow2_diagnostics_free(d->notes);
    g_free(d);
}

static void add_compressed(Qcow2Observers *o, const Qcow2Image *image, const DecompressOps *ops,
                           Qcow2UnreadableFinder *found)
{
    o->verifier = qcow2_compressed_new(image, ops, found);
    add(o, finish_compressed, qcow2_compressed_visitor(o->verifier), o->verifier,
        (GDestroyNotify)qcow2_compressed_free);
}

static void add_findings(Qcow2Observers *o, const Qcow2Image *image, const Qcow2CheckOptions *options)
{
    if (options->findings || options->judgement || options->verify_compressed) {
        Diagnosis *d = g_new0(Diagnosis, 1);

        d->unreadable = qcow2_unreadable_new(image);
        add(o, finish_diagnostics, qcow2_unreadable_visitor(d->unreadable), d, (GDestroyNotify)diagnosis_free);
        if (options->findings) {
            d->notes = qcow2_diagnostics_new(image);
            o->visitors[o->n_visitors++] = qcow2_diagnostics_visitor(d->notes);
        }
        if (options->verify_compressed) {
            add_compressed(o, image, options->verify_compressed, d->unreadable);
        }
    }
    if (options->findings || options->corruptions) {
        add(o, finish_findings, NULL, NULL, NULL);
    }
}

/* The space is summed up by role, and an answer names the role. */
static void add_roles_and_space(Qcow2Observers *o, const Qcow2Check *check, const Qcow2Image *image,
                                const Qcow2CheckOptions *options)
{
    if (options->roles || options->space || options->question) {
        Qcow2Roles *roles = qcow2_roles_new(check, image);

        add(o, finish_roles, qcow2_roles_visitor(roles), roles, (GDestroyNotify)qcow2_roles_free);
        if (options->space) {
            Qcow2Space *space = qcow2_space_new(check, roles, image->source, options->workers > 1);

            add(o, finish_space, qcow2_space_visitor(space), space, (GDestroyNotify)qcow2_space_free);
        }
    }
}

static void add_layout(Qcow2Observers *o, const Qcow2Check *check, const Qcow2Image *image,
                       const Qcow2CheckOptions *options)
{
    if (options->layout) {
        Qcow2MappingCollector *mappings =
            qcow2_mapping_collector_new(&image->header, &check->regions, options->workers);

        add(o, finish_layout, qcow2_mapping_collector_visitor(mappings), mappings,
            (GDestroyNotify)qcow2_mapping_collector_free);
    }
}

Qcow2Observers *qcow2_observers_new(const Qcow2Check *check, Qcow2Image *image, const Qcow2CheckOptions *options)
{
    Qcow2Observers *o = g_new0(Qcow2Observers, 1);

    add_findings(o, image, options);
    add_roles_and_space(o, check, image, options);
    if (options->question) {
        add(o, finish_answer, NULL, NULL, NULL);
    }
    add_layout(o, check, image, options);
    if (options->viscera) {
        add(o, finish_viscera, NULL, NULL, NULL); /* last: there are no counts behind it */
    }
    return o;
}

void qcow2_observers_free(Qcow2Observers *o)
{
    /* a later one may borrow from an earlier one */
    while (o->n) {
        const Observer *observer = &o->items[--o->n];

        if (observer->self) {
            observer->clear(observer->self);
        }
    }
    g_free(o);
}

const Qcow2TableVisitor *const *qcow2_observers_visitors(const Qcow2Observers *o)
{
    return o->visitors;
}

bool qcow2_observers_read_data(Qcow2Observers *o, Qcow2Check *check, GError **errp)
{
    return !o->verifier || qcow2_compressed_verify(o->verifier, check, errp);
}

bool qcow2_observers_finish(Qcow2Observers *o, Qcow2Check *check, Qcow2CheckResult *result, GError **errp)
{
    bool ok = true;

    for (unsigned i = 0; ok && i < o->n; i++) {
        ok = o->items[i].finish(o->items[i].self, check, result, errp);
    }
    return ok;
}
