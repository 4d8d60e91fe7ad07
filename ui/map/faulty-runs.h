/*
 * The runs of an image with all that is wrong with it: roles know of clusters that are used too often, by too many, too
 * little or not at all, findings of all else.
 *
 * A corruption concerns the clusters that it names. Where it names none, or none that the file has, it is the cluster
 * in which the faulty word lies. No other findings are looked at.
 *
 * What is given is borrowed. Memory: 16 bytes a corruption at most. Not thread safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_MAP_FAULTY_RUNS_H
#define UI_MAP_FAULTY_RUNS_H

#include <glib.h>

#include "block/cluster-roles.h"
#include "qapi/qapi-types.h"

typedef struct FaultyRuns FaultyRuns;

FaultyRuns *faulty_runs_new(const ClusterRoles *roles, const ImageCheckFindingList *findings);
void faulty_runs_free(FaultyRuns *runs);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FaultyRuns, faulty_runs_free)

/* The next run of @opaque, a FaultyRuns, in the order of the file; false at its end. */
bool faulty_runs_next(void *opaque, ClusterRun *run);

#endif
