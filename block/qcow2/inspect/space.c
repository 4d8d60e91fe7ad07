/*
 * What fills a qcow2 image.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/space.h"

#include <errno.h>

#include "block/io/holes.h"
#include "block/qcow2/check/collect.h"
#include "qapi/util.h"
#include "util/number.h"
#include "util/search.h"

/* The runs of data of an L2 table of the active disk, and how they begin and end, for going on in the next one. */
typedef struct TableRuns {
    uint64_t runs;
    uint64_t clusters; /* guest clusters in them */
    uint64_t l1_index;
    uint64_t head; /* host offset of its first entry, UINT64_MAX where that is no data */
    uint64_t tail; /* host offset behind its last entry, likewise */
} TableRuns;

struct Qcow2Space {
    const Qcow2Check *check;
    Holes holes;
    Qcow2Roles *roles;
    Qcow2Collect tables; /* TableRuns */
};

/* ---- runs of the active disk ---- */

static void count_runs(const Qcow2HeaderFields *h, const Qcow2L2Result *contents, TableRuns *table)
{
    uint64_t next_offset = UINT64_MAX;
    uint64_t next_index = 0;

    for (uint32_t i = 0; i < contents->n_runs; i++) {
        const Qcow2Run *run = &contents->runs[i];

        table->runs += run->index != next_index || run->offset != next_offset;
        table->clusters += run->n;
        next_index = run->index + run->n;
        next_offset = run->offset + ((uint64_t)run->n << h->cluster_bits);
        if (run->index == 0) {
            table->head = run->offset;
        }
    }
    if (next_index == UINT64_C(1) << h->l2_bits) {
        table->tail = next_offset;
    }
    for (guint i = 0; i < contents->extents->len; i++) {
        bool unaligned = !g_array_index(contents->extents, Qcow2Extent, i).compressed;

        table->runs += unaligned;
        table->clusters += unaligned;
    }
}

static bool visit_table(void *opaque, GArray *items, const Qcow2TableRef *table, const uint8_t *bytes,
                        const Qcow2L2Result *contents)
{
    const Qcow2Space *space = opaque;
    TableRuns runs = {.head = UINT64_MAX, .tail = UINT64_MAX};

    if (table->active && qcow2_regions_find_tree(&space->check->regions, table->slot, &runs.l1_index)) {
        count_runs(&space->check->image->header, contents, &runs);
        g_array_append_val(items, runs);
    }
    return true;
}

Qcow2Space *qcow2_space_new(const Qcow2Check *check, Qcow2Roles *roles, BlockSource *source, bool threads)
{
    Qcow2Space *s = g_new0(Qcow2Space, 1);

    s->check = check;
    s->roles = roles;
    holes_init(&s->holes, source, threads);
    qcow2_collect_init(&s->tables, visit_table, sizeof(TableRuns), s);
    return s;
}

void qcow2_space_free(Qcow2Space *s)
{
    if (s) {
        holes_clear(&s->holes);
        qcow2_collect_clear(&s->tables);
        g_free(s);
    }
}

const Qcow2TableVisitor *qcow2_space_visitor(const Qcow2Space *s)
{
    return &s->tables.visitor;
}

static void add_runs(Qcow2Space *s, ImageCheckSpace *space)
{
    g_autoptr(GArray) tables = g_array_new(FALSE, FALSE, sizeof(TableRuns));
    uint64_t clusters = 0;

    qcow2_collect_take(&s->tables, tables);
    ARRAY_SORT(tables, TableRuns, l1_index);
    for (guint i = 0; i < tables->len; i++) {
        const TableRuns *this = &g_array_index(tables, TableRuns, i);
        const TableRuns *last = i ? this - 1 : NULL;

        space->runs += this->runs;
        clusters += this->clusters;
        space->runs -=
            last && last->l1_index + 1 == this->l1_index && last->tail == this->head && this->head != UINT64_MAX;
    }
    space->run_size = space->runs ? clusters * s->check->image->header.cluster_size / space->runs : 0;
}

/* ---- roles ---- */

typedef struct RoleSums {
    uint64_t size[CLUSTER_ROLE__MAX];
    uint64_t holes[CLUSTER_ROLE__MAX];
    uint64_t all_holes;
} RoleSums;

static void add_range(RoleSums *sums, ClusterRole role, Holes *holes, uint64_t from, uint64_t to)
{
    uint64_t in_holes = holes_in(holes, from, to);

    sums->size[role] += to - from;
    sums->holes[role] += in_holes;
    sums->all_holes += in_holes;
}

static void sum_roles(Qcow2Space *s, const ClusterRoles *clusters, RoleSums *sums, uint64_t *beyond_end)
{
    const Qcow2HeaderFields *h = &s->check->image->header;
    uint64_t length = s->check->image->source->length;
    uint64_t end = MIN(s->check->used_end << h->cluster_bits, length);
    Holes *holes = &s->holes;
    ClusterRun run;

    *beyond_end = length - end;
    for (uint64_t at = 0; cluster_roles_next(clusters, &at, &run);) {
        uint64_t from = run.first << h->cluster_bits;
        uint64_t to = MIN((run.first + run.n) << h->cluster_bits, end);

        if (from < to) {
            add_range(sums, run.role, holes, from, to);
        }
    }
    sums->all_holes += holes_in(holes, end, length);
}

static void add_roles(Qcow2Space *s, const ClusterRoles *clusters, ImageCheckSpace *space)
{
    RoleSums sums = {0};
    bool has_holes = s->holes.source;

    sum_roles(s, clusters, &sums, &space->beyond_end);
    space->has_holes = has_holes;
    space->holes = sums.all_holes;
    for (ClusterRole role = 0; role < CLUSTER_ROLE__MAX; role++) {
        if (sums.size[role]) {
            ImageCheckRoleSpace *item = g_new(ImageCheckRoleSpace, 1);

            *item = (ImageCheckRoleSpace){.size = sums.size[role], .has_holes = has_holes, .holes = sums.holes[role]};
            *cluster_role_space(&space->roles, role) = item;
        }
    }
}

/* ---- snapshots ---- */

/* Clusters that the snapshot table would be shorter by without entry @i. */
static uint64_t table_clusters_freed(const Qcow2Check *c, guint i)
{
    const Qcow2HeaderFields *h = &c->image->header;
    const Qcow2Snapshot *snapshot = &g_array_index(c->snapshots.items, Qcow2Snapshot, i);
    uint64_t length = c->snapshots.table_length;
    uint64_t end = i + 1 < c->snapshots.items->len ? snapshot[1].entry_offset : h->snapshots_offset + length;
    uint64_t entry = end - snapshot->entry_offset;

    return DIV_ROUND_UP(length, h->cluster_size) - DIV_ROUND_UP(length - MIN(entry, length), h->cluster_size);
}

static bool add_snapshots(const Qcow2Space *s, ImageCheckSpace *space, GError **errp)
{
    const GArray *snapshots = s->check->snapshots.items;
    g_autofree uint64_t *exclusive = g_new0(uint64_t, snapshots->len);

    qcow2_roles_exclusive(s->roles, exclusive, snapshots->len);
    for (guint i = 0; i < snapshots->len; i++) {
        const Qcow2Snapshot *snapshot = &g_array_index(snapshots, Qcow2Snapshot, i);
        ImageCheckSnapshotSpace *item = qapi_append_ImageCheckSnapshotSpace(&space->snapshots);

        if (!item) {
            return qapi_set_out_of_memory(errp);
        }
        item->id = g_strdup(snapshot->id);
        item->name = g_strdup(snapshot->name);
        item->date = snapshot->date_sec;
        item->freed = (exclusive[i] + table_clusters_freed(s->check, i)) << s->check->image->header.cluster_bits;
    }
    return true;
}

ImageCheckSpace *qcow2_space_finish(Qcow2Space *s, const ClusterRoles *clusters, GError **errp)
{
    g_autoptr(ImageCheckSpace) space = g_new0(ImageCheckSpace, 1);

    space->cluster_size = s->check->image->header.cluster_size;
    space->file_size = s->check->image->source->length;
    add_runs(s, space);
    add_roles(s, clusters, space);
    return add_snapshots(s, space, errp) ? g_steal_pointer(&space) : NULL;
}
