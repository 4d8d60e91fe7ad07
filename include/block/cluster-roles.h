/*
 * The role of each host cluster of an image, as runs of clusters with the same role, in the order of the file.
 *
 * Filled once, from the first cluster on; then any number of threads may read it. Memory follows the number of runs,
 * and is at most a byte for each cluster that is used or counted as used; free clusters take none.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_CLUSTER_ROLES_H
#define BLOCK_CLUSTER_ROLES_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "qapi/qapi-types.h"

/* CLUSTER_ROLE_FREE and so on: the roles are those of the schema (qapi/space.json). */
typedef struct ClusterRun {
    uint64_t first; /* cluster */
    uint64_t n;     /* at least 1 */
    ClusterRole role;
    bool corrupt; /* the stored count is too low, or more than can be stored; or the role is SHARED */
    bool leaked;  /* the stored count is too high; always where the role is LEAKED */
    bool kept;    /* leaked, and evidence speaks for the last copy of something; false if nobody has looked */
} ClusterRun;

typedef struct ClusterRoles ClusterRoles;

/*
 * Roles for a file of @clusters clusters of @cluster_size bytes each, all of them free. An image may have one cluster
 * more than its file: an unaligned structure at the end touches the cluster behind it.
 */
ClusterRoles *cluster_roles_new(uint64_t clusters, uint64_t cluster_size);
void cluster_roles_free(ClusterRoles *roles);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ClusterRoles, cluster_roles_free)

/*
 * Adds a run that lies behind all runs added before. Clusters between runs are free. cluster_roles_finish() completes
 * the roles. Both return false when memory is short.
 */
bool cluster_roles_add(ClusterRoles *roles, const ClusterRun *run);
bool cluster_roles_finish(ClusterRoles *roles);

uint64_t cluster_roles_clusters(const ClusterRoles *roles);

/* There are no more runs than this. */
uint64_t cluster_roles_runs_most(const ClusterRoles *roles);

uint64_t cluster_roles_cluster_size(const ClusterRoles *roles);

/*
 * The run that cluster *@at is in, from *@at on: as long as all of them are the same. *@at becomes the
 * cluster behind it. False at the end of the file.
 */
bool cluster_roles_next(const ClusterRoles *roles, uint64_t *at, ClusterRun *run);

/* Returns the member of @roles that has the name of @role. */
ImageCheckRoleSpace **cluster_role_space(ImageCheckRoles *roles, ClusterRole role);

#endif
