/*
 * The runs of an image with all that is damaged in it: roles know of clusters that are used too often or by too many,
 * findings of all else.
 *
 * A corruption concerns the clusters that it names. Where it names none, or none that the file has, it is the cluster
 * in which the faulty word lies.
 *
 * What is given is borrowed. Memory: 16 bytes a finding at most. Not thread safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_DAMAGED_RUNS_H
#define UI_DAMAGED_RUNS_H

#include <glib.h>

#include "block/cluster-roles.h"
#include "qapi/qapi-types.h"

typedef struct DamagedRuns DamagedRuns;

DamagedRuns *damaged_runs_new(const ClusterRoles *roles, const ImageCheckFindingList *findings);
void damaged_runs_free(DamagedRuns *runs);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DamagedRuns, damaged_runs_free)

/* The next run of @opaque, a DamagedRuns, in the order of the file; false at its end. */
bool damaged_runs_next(void *opaque, ClusterRun *run);

#endif
