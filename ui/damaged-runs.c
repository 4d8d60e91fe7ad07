/*
 * Runs with all that is damaged: see ui/damaged-runs.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/damaged-runs.h"

#include "util/number.h"

/* Clusters of the file. */
typedef struct Range {
    uint64_t first, end;
} Range;

struct DamagedRuns {
    const ClusterRoles *roles;
    uint64_t at;     /* of the roles */
    ClusterRun rest; /* what is left of a run that was cut */
    GArray *damage;  /* of Range, in the order of the file */
    guint next;      /* the first range that may not be behind us */
};

/* False when none of the bytes are in the file. */
static bool range_of(const ClusterRoles *roles, uint64_t offset, uint64_t size, Range *range)
{
    uint64_t cluster_size = cluster_roles_cluster_size(roles);
    uint64_t end;

    range->first = offset / cluster_size;
    if (size == 0 || range->first >= cluster_roles_clusters(roles)) {
        return false;
    }
    range->end = add_u64(offset, size - 1, &end) ? end / cluster_size + 1 : UINT64_MAX;
    return true;
}

static void add_finding(DamagedRuns *runs, const ImageCheckFinding *finding)
{
    const Qcow2Allocation *cluster = finding->cluster;
    Range range;

    if (finding->severity == IMAGE_CHECK_SEVERITY_CORRUPTION &&
        ((cluster && range_of(runs->roles, cluster->offset, cluster->size, &range)) ||
         (finding->has_entry_offset && range_of(runs->roles, finding->entry_offset, 1, &range)))) {
        g_array_append_val(runs->damage, range);
    }
}

static int compare_ranges(const void *left, const void *right)
{
    const Range *a = left, *b = right;

    return (a->first > b->first) - (a->first < b->first);
}

DamagedRuns *damaged_runs_new(const ClusterRoles *roles, const ImageCheckFindingList *findings)
{
    DamagedRuns *runs = g_new(DamagedRuns, 1);

    *runs = (DamagedRuns){.roles = roles, .damage = g_array_new(FALSE, FALSE, sizeof(Range))};
    for (size_t i = 0; i < findings->len; i++) {
        add_finding(runs, &findings->items[i]);
    }
    g_array_sort(runs->damage, compare_ranges);
    return runs;
}

void damaged_runs_free(DamagedRuns *runs)
{
    g_array_unref(runs->damage);
    g_free(runs);
}

/* The first range that ends behind @cluster. Ranges may overlap: one that is passed is not looked at again, since what
 * follows begins no earlier. */
static const Range *next_damage(DamagedRuns *runs, uint64_t cluster)
{
    while (runs->next < runs->damage->len && g_array_index(runs->damage, Range, runs->next).end <= cluster) {
        runs->next++;
    }
    return runs->next < runs->damage->len ? &g_array_index(runs->damage, Range, runs->next) : NULL;
}

bool damaged_runs_next(void *opaque, ClusterRun *run)
{
    DamagedRuns *runs = opaque;
    const Range *damage;

    if (runs->rest.n == 0 && !cluster_roles_next(runs->roles, &runs->at, &runs->rest)) {
        return false;
    }
    damage = next_damage(runs, runs->rest.first);
    *run = runs->rest;
    if (damage && damage->first > run->first) {
        run->n = MIN(run->n, damage->first - run->first);
    } else if (damage) {
        run->n = MIN(run->n, damage->end - run->first);
        run->corrupt = true;
    }
    runs->rest.first += run->n;
    runs->rest.n -= run->n;
    return true;
}
