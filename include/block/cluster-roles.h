/*
 * What each host cluster of an image is there for, as runs of clusters with the same role, in the order of the file.
 *
 * Filled once, from the first cluster on; then any number of threads may look. Memory follows the number of runs, and
 * is no more than a byte for each cluster that is used or counted as used; free clusters between take none.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_CLUSTER_ROLES_H
#define BLOCK_CLUSTER_ROLES_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum ClusterRole {
    CLUSTER_ROLE_FREE, /* nothing refers to it, and it is not counted as used */
    CLUSTER_ROLE_HEADER,
    CLUSTER_ROLE_REFCOUNT_TABLE,
    CLUSTER_ROLE_REFCOUNT_BLOCK,
    CLUSTER_ROLE_L1, /* of the active disk or of a snapshot */
    CLUSTER_ROLE_L2, /* of the active disk, and perhaps of snapshots too */
    CLUSTER_ROLE_DATA,
    CLUSTER_ROLE_COMPRESSED,
    CLUSTER_ROLE_SNAPSHOT_TABLE,
    CLUSTER_ROLE_SNAPSHOT_DATA, /* data and L2 tables that only snapshots use */
    CLUSTER_ROLE_BITMAP,        /* directory, tables and data of bitmaps */
    CLUSTER_ROLE_CRYPT,         /* LUKS header */
    CLUSTER_ROLE_LEAKED,        /* counted as used, but nothing refers to it */
    CLUSTER_ROLE_SHARED,        /* users that cannot both be right: metadata and something else */
    CLUSTER_ROLE__MAX
} ClusterRole;

typedef struct ClusterRun {
    uint64_t first; /* cluster */
    uint64_t n;     /* at least 1 */
    ClusterRole role;
    bool corrupt; /* the stored count is too low, or more than can be stored; or the role is SHARED */
} ClusterRun;

typedef struct ClusterRoles ClusterRoles;

/*
 * Roles for a file of @clusters clusters of @cluster_size bytes each, all of them free. Of an image they may be one
 * more than the file has: an unaligned structure at its end touches the one behind.
 */
ClusterRoles *cluster_roles_new(uint64_t clusters, uint64_t cluster_size);
void cluster_roles_free(ClusterRoles *roles);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ClusterRoles, cluster_roles_free)

/*
 * Adds a run that lies behind all that were added before. What is left out is free. All is there after
 * cluster_roles_finish(). Both are false when memory is short.
 */
bool cluster_roles_add(ClusterRoles *roles, const ClusterRun *run);
bool cluster_roles_finish(ClusterRoles *roles);

uint64_t cluster_roles_clusters(const ClusterRoles *roles);
uint64_t cluster_roles_cluster_size(const ClusterRoles *roles);

/*
 * The run that cluster *@at is in, from *@at on: as long as role and corrupt are the same. *@at becomes the cluster
 * behind it. False at the end of the file.
 */
bool cluster_roles_next(const ClusterRoles *roles, uint64_t *at, ClusterRun *run);

#endif
