/*
 * Runs with all that is wrong: see ui/map/faulty-runs.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/map/faulty-runs.h"

#include "ui/map/ranges.h"

struct FaultyRuns {
    const ClusterRoles *roles;
    uint64_t at;     /* of the roles */
    ClusterRun rest; /* what is left of a run that was cut */
    MapRanges damaged;
};

static void add_range(FaultyRuns *runs, uint64_t offset, uint64_t size)
{
    map_ranges_add(&runs->damaged, cluster_roles_clusters(runs->roles), cluster_roles_cluster_size(runs->roles), offset,
                   size);
}

static void add_corruption(FaultyRuns *runs, const ImageCheckFinding *finding)
{
    if (finding->cluster) {
        add_range(runs, finding->cluster->offset, finding->cluster->size);
    }
    if (finding->has_entry_offset) {
        add_range(runs, finding->entry_offset, 1);
    }
}

FaultyRuns *faulty_runs_new(const ClusterRoles *roles, const ImageCheck *check)
{
    bool corrupt = check->corruptions || check->corruptions_fixed;
    g_auto(QapiIterator) each = qapi_iterate(&check->findings);
    FaultyRuns *runs = g_new(FaultyRuns, 1);

    *runs = (FaultyRuns){.roles = roles};
    for (const ImageCheckFinding *f; corrupt && (f = qapi_next(&each));) {
        if (f->severity == IMAGE_CHECK_SEVERITY_CORRUPTION) {
            add_corruption(runs, f);
        }
    }
    map_ranges_sort(&runs->damaged);
    return runs;
}

void faulty_runs_free(FaultyRuns *runs)
{
    map_ranges_clear(&runs->damaged);
    g_free(runs);
}

bool faulty_runs_next(void *opaque, ClusterRun *run)
{
    FaultyRuns *runs = opaque;

    if (runs->rest.n == 0 && !cluster_roles_next(runs->roles, &runs->at, &runs->rest)) {
        return false;
    }
    *run = runs->rest;
    run->corrupt |= map_ranges_cut(&runs->damaged, run);
    runs->rest.first += run->n;
    runs->rest.n -= run->n;
    return true;
}
