/*
 * The guest's disk as runs: see ui/map/guest-runs.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/map/guest-runs.h"

#include <stdlib.h>

#include "ui/map/ranges.h"

struct GuestRuns {
    const Mappings *by_guest;
    uint64_t clusters;
    size_t next;     /* the first mapping that may not be behind us */
    uint64_t at;     /* the next cluster */
    ClusterRun rest; /* what is left of a run that was cut */
    MapRanges damaged;
};

/* ---- mappings by guest ---- */

static bool is_of_disk(const Mapping *m)
{
    return m->tree == 0 && m->kind != MAPPING_L2;
}

bool guest_mappings(const Mappings *mappings, Mappings *by_guest)
{
    *by_guest = (Mappings){.step = mappings->step};
    if (!mappings->n) {
        return true;
    }
    by_guest->items = malloc(mappings->n * sizeof(*by_guest->items));
    if (!by_guest->items) {
        return false;
    }
    for (size_t i = 0; i < mappings->n; i++) {
        const Mapping *m = &mappings->items[i];

        if (is_of_disk(m)) {
            by_guest->items[by_guest->n++] = (Mapping){
                .host = m->guest, .guest = m->host, .n = m->kind == MAPPING_COMPRESSED ? 1 : m->n, .kind = m->kind};
        }
    }
    mappings_sort(by_guest);
    return true;
}

/* ---- runs ---- */

GuestRuns *guest_runs_new(const Mappings *by_guest, uint64_t clusters, uint64_t cluster_size, const ImageCheck *check)
{
    g_auto(QapiIterator) each = qapi_iterate(&check->findings);
    GuestRuns *runs = g_new(GuestRuns, 1);

    *runs = (GuestRuns){.by_guest = by_guest, .clusters = clusters};
    for (const ImageCheckFinding *f; (f = qapi_next(&each));) {
        if (f->severity == IMAGE_CHECK_SEVERITY_CORRUPTION && f->guest && !f->snapshot) {
            map_ranges_add(&runs->damaged, clusters, cluster_size, f->guest->offset, f->guest->size);
        }
    }
    for (size_t i = 0; i < check->guest_lost.len; i++) {
        const Qcow2Allocation *lost = &check->guest_lost.items[i];

        map_ranges_add(&runs->damaged, clusters, cluster_size, lost->offset, lost->size);
    }
    map_ranges_sort(&runs->damaged);
    return runs;
}

void guest_runs_free(GuestRuns *runs)
{
    map_ranges_clear(&runs->damaged);
    g_free(runs);
}

/* The clusters that @m stands for. A step of more than 1 keeps mappings for the multiples of it that they have. */
static ClusterRun run_of(const Mapping *m, uint64_t step)
{
    uint64_t first = (m->host + step - 1) & ~(step - 1);
    uint64_t end = ((m->host + m->n - 1) & ~(step - 1)) + step;

    return (ClusterRun){.first = first,
                        .n = end - first,
                        .role = m->kind == MAPPING_COMPRESSED ? CLUSTER_ROLE_COMPRESSED : CLUSTER_ROLE_DATA};
}

/* The run that begins at the next cluster, without what is wrong; false at the end of the disk. */
static bool next_whole(GuestRuns *runs, ClusterRun *run)
{
    const Mappings *m = runs->by_guest;
    ClusterRun found = {.first = runs->clusters};
    uint64_t end;

    if (runs->at >= runs->clusters) {
        return false;
    }
    for (; runs->next < m->n; runs->next++) {
        ClusterRun next = run_of(&m->items[runs->next], m->step);

        if (next.first + next.n > runs->at) {
            found = next;
            break;
        }
    }
    if (found.first > runs->at) {
        end = found.first;
        found.role = CLUSTER_ROLE_FREE;
    } else {
        end = found.first + found.n;
    }
    *run = (ClusterRun){.first = runs->at, .n = MIN(end, runs->clusters) - runs->at, .role = found.role};
    runs->at += run->n;
    return true;
}

bool guest_runs_next(void *opaque, ClusterRun *run)
{
    GuestRuns *runs = opaque;

    if (runs->rest.n == 0 && !next_whole(runs, &runs->rest)) {
        return false;
    }
    *run = runs->rest;
    run->corrupt = map_ranges_cut(&runs->damaged, run);
    runs->rest.first += run->n;
    runs->rest.n -= run->n;
    return true;
}
