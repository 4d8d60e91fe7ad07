/*
 * Roles of the clusters of a qcow2 image (include/block/cluster-roles.h), found in the first pass over its tables.
 *
 * A counted cluster that is neither metadata, which is known without L2 tables, nor compressed, is data. So the first
 * pass records only the clusters with compressed data and, in an image with snapshots, the owner of a cluster: one
 * snapshot, several, or the active disk. An image with neither costs nothing.
 *
 * Not thread safe; the visitor is called by several threads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_INSPECT_ROLES_H
#define BLOCK_QCOW2_INSPECT_ROLES_H

#include "block/cluster-roles.h"
#include "block/qcow2/check/check.h"

typedef struct Qcow2Roles Qcow2Roles;

/* For a check of @image with @check, before it begins. Both are borrowed. */
Qcow2Roles *qcow2_roles_new(const Qcow2Check *check, const Qcow2Image *image);
void qcow2_roles_free(Qcow2Roles *roles);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Qcow2Roles, qcow2_roles_free)

/* The visitor for qcow2_check_count(). */
const Qcow2TableVisitor *qcow2_roles_visitor(const Qcow2Roles *roles);

/* The roles, after qcow2_check_report(); once. NULL and @errp set when memory is short. */
ClusterRoles *qcow2_roles_finish(Qcow2Roles *roles, GError **errp);

/*
 * Sets for each snapshot, by its index in the snapshot table, the number of clusters that only it uses, which deleting
 * it would free. After qcow2_roles_finish(). @clusters has an element for each snapshot, all of them 0.
 */
void qcow2_roles_exclusive(const Qcow2Roles *roles, uint64_t *clusters, size_t n);

#endif
