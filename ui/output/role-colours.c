/*
 * The colours of roles: see ui/output/role-colours.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ui/output/role-colours.h"

static const RoleStyle styles[CLUSTER_ROLE__MAX] = {
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
    [CLUSTER_ROLE_LEAKED] = {"leaked", ROLE_COLOUR_LEAK, false},
    [CLUSTER_ROLE_SHARED] = {"conflicting use", ROLE_COLOUR_DAMAGE, true},
};

const RoleStyle *role_style(ClusterRole role)
{
    return &styles[role];
}
