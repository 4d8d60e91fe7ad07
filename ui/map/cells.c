/*
 * From runs of clusters to cells: see ui/map/cells.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/map/cells.h"

#include <string.h>

typedef struct Cells {
    const MapLayout *layout;
    MapCellsSeen *seen;
    void *opaque;
    uint64_t position;                  /* the cluster that is next */
    uint64_t counts[CLUSTER_ROLE__MAX]; /* of the cell that is not complete yet */
    MapMark mark;                       /* likewise */
    MapCell look;                       /* of the cells that were not given on yet */
    uint32_t first, n;                  /* these */
    const uint64_t *seam, *seams_end;   /* those that may not be behind us */
} Cells;

static void give_on(Cells *c)
{
    if (c->n) {
        c->seen(c->opaque, c->first, c->n, &c->look);
    }
}

static bool looks_like(const MapCell *a, const MapCell *b)
{
    return a->role == b->role && a->fill == b->fill && a->mark == b->mark;
}

static void add_cells(Cells *c, uint32_t n, MapCell look)
{
    if (!c->n || look.seam || !looks_like(&c->look, &look)) {
        give_on(c);
        c->first += c->n;
        c->n = 0;
        c->look = look;
    }
    c->n += n;
}

static MapMark mark_of(const ClusterRun *run)
{
    if (run->corrupt || run->role == CLUSTER_ROLE_SHARED) {
        return MAP_MARK_DAMAGE;
    }
    if (run->role == CLUSTER_ROLE_LEAKED) {
        return run->kept ? MAP_MARK_KEPT : MAP_MARK_LEAK;
    }
    return MAP_MARK_NONE;
}

/* @used and @clusters of at most 2^59; one cluster in use is to be seen as such. */
static uint8_t fill_of(uint64_t used, uint64_t clusters)
{
    return used ? (uint8_t)MAX(used * MAP_FILL_ALL / clusters, 1) : 0;
}

/* The cell of the counts, which has @clusters. */
static void complete_cell(Cells *c, uint64_t clusters)
{
    MapCell look = {.role = CLUSTER_ROLE_FREE, .mark = c->mark};
    uint64_t most = 0;

    for (ClusterRole role = CLUSTER_ROLE_FREE + 1; role < CLUSTER_ROLE__MAX; role++) {
        if (c->counts[role] > most) {
            most = c->counts[role];
            look.role = role;
        }
    }
    look.fill = fill_of(clusters - c->counts[CLUSTER_ROLE_FREE], clusters);
    add_cells(c, 1, look);
    memset(c->counts, 0, sizeof(c->counts));
    c->mark = MAP_MARK_NONE;
}

/* The next @n clusters, which all lie in the cell that is not complete yet. */
static void add_to_cell(Cells *c, uint64_t n, ClusterRole role, MapMark mark)
{
    uint64_t size = c->layout->clusters_per_cell;
    uint64_t begin = c->position & ~(size - 1);

    c->counts[role] += n;
    c->mark = MAX(c->mark, mark);
    c->position += n;
    if (c->position == begin + size || c->position == c->layout->clusters) {
        complete_cell(c, c->position - begin);
    }
}

/* Returns how many of the next @n cells there are up to a seam; *@seam: there is one before the first of them. */
static uint64_t cells_up_to_seam(Cells *c, uint64_t n, bool *seam)
{
    while (c->seam < c->seams_end && *c->seam < c->position) {
        c->seam++;
    }
    *seam = c->seam < c->seams_end && *c->seam == c->position;
    if (*seam) {
        c->seam++;
    }
    return c->seam < c->seams_end ? MIN(n, *c->seam - c->position) : n;
}

static void add_whole_cells(Cells *c, uint64_t n, ClusterRole role, MapMark mark)
{
    MapCell look = {.role = role, .fill = role == CLUSTER_ROLE_FREE ? 0 : MAP_FILL_ALL, .mark = mark};

    while (n > 0) {
        uint64_t part = cells_up_to_seam(c, n, &look.seam);

        add_cells(c, (uint32_t)part, look);
        c->position += part * c->layout->clusters_per_cell;
        n -= part;
    }
}

/* The next @n clusters. */
static void add_clusters(Cells *c, uint64_t n, ClusterRole role, MapMark mark)
{
    uint64_t size = c->layout->clusters_per_cell;

    while (n > 0) {
        uint64_t inside = c->position & (size - 1);
        uint64_t part = MIN(n, size - inside);

        if (inside == 0 && n >= size) {
            part = n & ~(size - 1);
            add_whole_cells(c, part / size, role, mark);
        } else {
            add_to_cell(c, part, role, mark);
        }
        n -= part;
    }
}

/* The part of @run that is new and in the file. */
static void add_run(Cells *c, const ClusterRun *run, MapTotals *totals)
{
    uint64_t left = c->layout->clusters - MIN(run->first, c->layout->clusters);
    uint64_t end = c->layout->clusters - left + MIN(run->n, left);
    uint64_t begin = MAX(run->first, c->position);

    if (begin >= end) {
        return;
    }
    totals->clusters[CLUSTER_ROLE_FREE] += begin - c->position;
    add_clusters(c, begin - c->position, CLUSTER_ROLE_FREE, MAP_MARK_NONE);
    totals->clusters[run->role] += end - begin;
    totals->kept += run->role == CLUSTER_ROLE_LEAKED && run->kept ? end - begin : 0;
    totals->damaged += mark_of(run) == MAP_MARK_DAMAGE ? end - begin : 0;
    add_clusters(c, end - begin, run->role, mark_of(run));
}

void map_cells(const MapLayout *layout, const MapImage *image, MapCellsSeen *seen, void *opaque, MapTotals *totals)
{
    Cells c = {.layout = layout, .seen = seen, .opaque = opaque};
    ClusterRun run;

    if (layout->clusters_per_cell == 1 && image->n_seams) {
        c.seam = image->seams;
        c.seams_end = image->seams + image->n_seams;
    }
    *totals = (MapTotals){0};
    while (image->next_run(image->opaque, &run)) {
        add_run(&c, &run, totals);
    }
    totals->clusters[CLUSTER_ROLE_FREE] += layout->clusters - c.position;
    add_clusters(&c, layout->clusters - c.position, CLUSTER_ROLE_FREE, MAP_MARK_NONE);
    give_on(&c);
}
