/*
 * Runs with all that is wrong: see ui/map/faulty-runs.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/map/faulty-runs.h"

#include "util/number.h"

/* Clusters of the file. */
typedef struct Range {
    uint64_t first, end;
} Range;

typedef struct Ranges {
    GArray *array; /* of Range, in the order of the file; they may overlap */
    guint next;    /* the first that may not be behind us */
} Ranges;

struct FaultyRuns {
    const ClusterRoles *roles;
    uint64_t at;     /* of the roles */
    ClusterRun rest; /* what is left of a run that was cut */
    Ranges damaged;
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

static void add_corruption(FaultyRuns *runs, const ImageCheckFinding *finding)
{
    const Qcow2Allocation *cluster = finding->cluster;
    Range range;

    if (cluster && range_of(runs->roles, cluster->offset, cluster->size, &range)) {
        g_array_append_val(runs->damaged.array, range);
    }
    if (finding->has_entry_offset && range_of(runs->roles, finding->entry_offset, 1, &range)) {
        g_array_append_val(runs->damaged.array, range);
    }
}

static int compare_ranges(const void *left, const void *right)
{
    const Range *a = left, *b = right;

    return (a->first > b->first) - (a->first < b->first);
}

FaultyRuns *faulty_runs_new(const ClusterRoles *roles, const ImageCheckFindingList *findings)
{
    FaultyRuns *runs = g_new(FaultyRuns, 1);

    *runs = (FaultyRuns){.roles = roles, .damaged.array = g_array_new(FALSE, FALSE, sizeof(Range))};
    for (size_t i = 0; i < findings->len; i++) {
        if (findings->items[i].severity == IMAGE_CHECK_SEVERITY_CORRUPTION) {
            add_corruption(runs, &findings->items[i]);
        }
    }
    g_array_sort(runs->damaged.array, compare_ranges);
    return runs;
}

void faulty_runs_free(FaultyRuns *runs)
{
    g_array_unref(runs->damaged.array);
    g_free(runs);
}

/* The first range that ends behind @cluster. Clusters come in the order of the file: a range that is passed is not
 * looked at again, since those behind it begin no earlier. */
static const Range *next_range(Ranges *ranges, uint64_t cluster)
{
    while (ranges->next < ranges->array->len && g_array_index(ranges->array, Range, ranges->next).end <= cluster) {
        ranges->next++;
    }
    return ranges->next < ranges->array->len ? &g_array_index(ranges->array, Range, ranges->next) : NULL;
}

/* Shortens @run so that it lies wholly in one of the ranges, which gives true, or in none. */
static bool cut_run(Ranges *ranges, ClusterRun *run)
{
    const Range *range = next_range(ranges, run->first);

    if (!range) {
        return false;
    }
    if (range->first > run->first) {
        run->n = MIN(run->n, range->first - run->first);
        return false;
    }
    run->n = MIN(run->n, range->end - run->first);
    return true;
}

bool faulty_runs_next(void *opaque, ClusterRun *run)
{
    FaultyRuns *runs = opaque;

    if (runs->rest.n == 0 && !cluster_roles_next(runs->roles, &runs->at, &runs->rest)) {
        return false;
    }
    *run = runs->rest;
    run->corrupt |= cut_run(&runs->damaged, run);
    runs->rest.first += run->n;
    runs->rest.n -= run->n;
    return true;
}
