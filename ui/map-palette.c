/*
 * The colours of a picture: see ui/map-palette.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/map-palette.h"

/* A cell with one cluster in use among many is to be told from one that has none. */
#define FILL_LEAST 80u /* of 255 */

static const MapRoleStyle styles[CLUSTER_ROLE__MAX] = {
    [CLUSTER_ROLE_FREE] = {"free", 0x2b3038, false},
    [CLUSTER_ROLE_HEADER] = {"header", 0xffffff, false},
    [CLUSTER_ROLE_REFCOUNT_TABLE] = {"refcount table", 0xe3bfd0, true},
    [CLUSTER_ROLE_REFCOUNT_BLOCK] = {"refcount blocks", 0xcc79a7, false},
    [CLUSTER_ROLE_L1] = {"L1 tables", 0xd6b478, true},
    [CLUSTER_ROLE_L2] = {"L2 tables", 0xe69f00, false},
    [CLUSTER_ROLE_DATA] = {"data", 0x0072b2, false},
    [CLUSTER_ROLE_COMPRESSED] = {"compressed data", 0x009e73, false},
    [CLUSTER_ROLE_SNAPSHOT_TABLE] = {"snapshot table", 0xaadaf4, true},
    [CLUSTER_ROLE_SNAPSHOT_DATA] = {"only in snapshots", 0x56b4e9, false},
    [CLUSTER_ROLE_BITMAP] = {"bitmaps", 0x6b7078, false},
    [CLUSTER_ROLE_CRYPT] = {"encryption", 0xc4c9a8, true},
    [CLUSTER_ROLE_LEAKED] = {"leaked", MAP_COLOUR_LEAK, false},
    [CLUSTER_ROLE_SHARED] = {"conflicting use", MAP_COLOUR_DAMAGE, true},
};

const MapRoleStyle *map_role_style(ClusterRole role)
{
    return &styles[role];
}

/* @share of 255 parts of @to, the rest of @from. */
static MapColour blend(MapColour from, MapColour to, unsigned share)
{
    MapColour colour = 0;

    for (unsigned shift = 0; shift <= 16; shift += 8) {
        unsigned part = (from >> shift & 0xff) * (255 - share) + (to >> shift & 0xff) * share;

        colour |= (part + 127) / 255 << shift;
    }
    return colour;
}

MapColour map_cell_colour(const MapCell *cell)
{
    MapColour free = styles[CLUSTER_ROLE_FREE].colour;

    if (cell->mark == MAP_MARK_LEAK) {
        return MAP_COLOUR_LEAK;
    }
    if (cell->fill == 0) {
        return free;
    }
    return blend(free, styles[cell->role].colour, FILL_LEAST + (255 - FILL_LEAST) * cell->fill / MAP_FILL_ALL);
}
