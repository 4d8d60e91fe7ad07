/*
 * The roles of all clusters in a report: see ui/report/roles.h.
 *
 * A run is a number: how many clusters, 3 bits of what is wrong with them, 4 bits of their role. Where clusters are
 * taken together, a step gets the role that most of its clusters in use have, and whatever is wrong with any of them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/report/roles.h"

#include "ui/map/faulty-runs.h"
#include "ui/report/pack.h"

#define KIND_BITS 7
#define CORRUPT   16u
#define HAS_LEAK  32u
#define KEPT      64u
#define LONGEST   (UINT64_C(1) << 40) /* so that a run is less than 2^53 */

/* Runs on their way into the page; neighbours that are alike become one. */
typedef struct Writer {
    ReportPack *pack; /* NULL: they are counted only */
    uint64_t runs;
    uint64_t n; /* of the run under way; 0: there is none */
    unsigned kind;
} Writer;

static void end_run(Writer *w)
{
    while (w->n) {
        uint64_t n = MIN(w->n, LONGEST);

        if (w->pack) {
            report_pack_number(w->pack, n << KIND_BITS | w->kind);
        }
        w->runs++;
        w->n -= n;
    }
}

static void write_run(Writer *w, uint64_t n, unsigned kind)
{
    if (w->n && w->kind != kind) {
        end_run(w);
    }
    w->kind = kind;
    w->n += n;
}

static unsigned run_kind(const ClusterRun *run)
{
    return (unsigned)run->role | (run->corrupt ? CORRUPT : 0) | (run->leaked ? HAS_LEAK : 0) | (run->kept ? KEPT : 0);
}

/* What is known so far of the step under way. */
typedef struct Step {
    uint64_t left; /* clusters that are still to come */
    uint64_t n;
    uint64_t counts[CLUSTER_ROLE__MAX];
    unsigned marks;
} Step;

static void end_step(Step *step, Writer *w, uint64_t size)
{
    unsigned role = CLUSTER_ROLE_FREE;

    for (unsigned i = CLUSTER_ROLE_FREE + 1; i < CLUSTER_ROLE__MAX; i++) {
        if (step->counts[i] > (role == CLUSTER_ROLE_FREE ? 0 : step->counts[role])) {
            role = i;
        }
    }
    if (step->n) {
        write_run(w, step->n, role | step->marks);
    }
    *step = (Step){.left = size};
}

/* Gives on the clusters of @run, whole steps of them at once. */
static void add_to_steps(Step *step, Writer *w, uint64_t size, const ClusterRun *run)
{
    unsigned kind = run_kind(run);
    uint64_t n = run->n;

    while (n) {
        uint64_t taken = MIN(n, step->left);

        if (taken == size) {
            taken = n / size * size;
            write_run(w, taken, kind);
        } else {
            step->counts[run->role] += taken;
            step->marks |= kind & (CORRUPT | HAS_LEAK | KEPT);
            step->n += taken;
            step->left -= taken;
            if (!step->left) {
                end_step(step, w, size);
            }
        }
        n -= taken;
    }
}

static uint64_t write_all(const Qcow2CheckResult *result, uint64_t size, ReportPack *pack)
{
    g_autoptr(FaultyRuns) runs = faulty_runs_new(result->roles, result->check);
    Writer writer = {.pack = pack};
    Step step = {.left = size};
    ClusterRun run;

    while (faulty_runs_next(runs, &run)) {
        add_to_steps(&step, &writer, size, &run);
    }
    end_step(&step, &writer, size);
    end_run(&writer);
    return writer.runs;
}

/* Going through them tells how many there are, and takes a while; mostly there are far too few to matter. */
static uint64_t runs_most(const Qcow2CheckResult *result)
{
    uint64_t cuts = 2 * (uint64_t)result->check->findings.len + cluster_roles_clusters(result->roles) / LONGEST;

    return cluster_roles_runs_most(result->roles) + cuts;
}

ReportRoles report_write_roles(FILE *out, const Qcow2CheckResult *result, uint64_t most)
{
    g_autofree ReportPack *pack = g_new(ReportPack, 1);
    ReportRoles written = {.step = 1};

    if (runs_most(result) > most) {
        while (write_all(result, written.step, NULL) > most) {
            written.step <<= 1;
        }
    }
    report_pack_begin(pack, out, "roles");
    written.runs = write_all(result, written.step, pack);
    report_pack_end(pack);
    return written;
}
