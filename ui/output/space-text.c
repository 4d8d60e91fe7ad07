/*
 * What fills an image, as a table: see ui/output/space-text.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/output/space-text.h"

#include <glib.h>
#include <inttypes.h>

#include "block/cluster-roles.h"
#include "ui/output/escape.h"
#include "ui/output/role-colours.h"
#include "util/size.h"

#define ID_COLUMNS   8
#define NAME_COLUMNS 52

typedef struct Table {
    FILE *out;
    const ImageCheckSpace *space;
} Table;

static void print_row(const Table *t, const char *what, uint64_t size, uint64_t holes)
{
    g_autofree char *size_text = size_format(size);
    g_autofree char *holes_text = size_format(holes);
    double percent = t->space->file_size ? 100.0 * (double)size / (double)t->space->file_size : 0;

    fprintf(t->out, "%-28s %10s %7.2f%%", what, size_text, percent);
    if (t->space->has_holes) {
        fprintf(t->out, " %10s", holes_text);
    }
    fputc('\n', t->out);
}

static void print_roles(const Table *t)
{
    const ImageCheckSpace *space = t->space;
    ImageCheckRoles roles = space->roles;
    uint64_t left = space->holes;

    fprintf(t->out, "\n%-28s %10s %8s%s\n", "what fills the file", "size", "share",
            space->has_holes ? "      holes" : "");
    for (ClusterRole role = 0; role < CLUSTER_ROLE__MAX; role++) {
        const ImageCheckRoleSpace *of_role = *cluster_role_space(&roles, role);

        left -= of_role ? of_role->holes : 0;
        if (of_role && role != CLUSTER_ROLE_FREE) {
            print_row(t, role_style(role)->name, of_role->size, of_role->holes);
        }
    }
    /* what nothing is in comes last */
    if (roles.free) {
        print_row(t, role_style(CLUSTER_ROLE_FREE)->name, roles.free->size, roles.free->holes);
    }
    if (space->beyond_end) {
        print_row(t, "behind the end of the image", space->beyond_end, left);
    }
    print_row(t, "the whole file", space->file_size, space->holes);
}

static void print_snapshots(const Table *t)
{
    const ImageCheckSnapshotSpaceList *snapshots = &t->space->snapshots;

    if (!snapshots->len) {
        return;
    }
    fputs("\nto be freed by deleting the snapshot\n", t->out);
    for (size_t i = 0; i < snapshots->len; i++) {
        g_autofree char *size = size_format(snapshots->items[i].freed);

        fprintf(t->out, "%12s  \"", size);
        print_escaped(t->out, snapshots->items[i].name, NAME_COLUMNS);
        fputs("\", ID ", t->out);
        print_escaped(t->out, snapshots->items[i].id, ID_COLUMNS);
        fputc('\n', t->out);
    }
}

static void print_runs(const Table *t)
{
    g_autofree char *size = size_format(t->space->run_size);
    g_autofree char *cluster = size_format(t->space->cluster_size);

    if (t->space->runs) {
        fprintf(t->out, "\nThe disk is stored in %" PRIu64 " %s, of %s on average; a cluster has %s.\n", t->space->runs,
                t->space->runs == 1 ? "piece" : "pieces", size, cluster);
    }
}

void print_space_text(FILE *out, const ImageCheckSpace *space)
{
    Table table = {.out = out, .space = space};

    print_roles(&table);
    print_snapshots(&table);
    print_runs(&table);
}
