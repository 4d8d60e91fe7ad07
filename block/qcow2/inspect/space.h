/*
 * The use of space in a qcow2 image: space by role, holes, the space that deleting a snapshot would free, and the
 * number of pieces of the disk (qapi/space.json).
 *
 * Runs are counted in the first pass over the tables; the rest follows from the roles of the clusters.
 *
 * Not thread safe; the visitor is called by several threads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_INSPECT_SPACE_H
#define BLOCK_QCOW2_INSPECT_SPACE_H

#include "block/qcow2/check/check.h"
#include "block/qcow2/inspect/roles.h"

typedef struct Qcow2Space Qcow2Space;

/*
 * For a check of the image in @source with @check, before it begins; @roles are those of the same check. Borrows all.
 * With @threads a thread that starts now finds the holes.
 */
Qcow2Space *qcow2_space_new(const Qcow2Check *check, Qcow2Roles *roles, BlockSource *source, bool threads);
void qcow2_space_free(Qcow2Space *space);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Qcow2Space, qcow2_space_free)

/* The visitor for qcow2_check_count(). */
const Qcow2TableVisitor *qcow2_space_visitor(const Qcow2Space *space);

/* The numbers, once, after @roles are finished with the result @clusters. NULL and @errp set when memory is short. */
ImageCheckSpace *qcow2_space_finish(Qcow2Space *space, const ClusterRoles *clusters, GError **errp);

#endif
