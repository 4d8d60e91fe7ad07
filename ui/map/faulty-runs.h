/*
 * The runs of an image with all faults marked: wrong counts from the roles, other faults from the findings.
 *
 * A corruption marks the cluster of the faulty word, and the clusters that it names. Other findings mark nothing.
 *
 * The arguments are borrowed. Memory: at most 32 bytes for each corruption. Not thread-safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_MAP_FAULTY_RUNS_H
#define UI_MAP_FAULTY_RUNS_H

#include <glib.h>

#include "block/cluster-roles.h"
#include "qapi/qapi-types.h"

typedef struct FaultyRuns FaultyRuns;

/* Findings are looked at only where @check counts corruptions: there may be 100,000 leaks. */
FaultyRuns *faulty_runs_new(const ClusterRoles *roles, const ImageCheck *check);
void faulty_runs_free(FaultyRuns *runs);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FaultyRuns, faulty_runs_free)

/* Sets *@run to the next run of @opaque, a FaultyRuns, in the order of the file. Returns false at the end. */
bool faulty_runs_next(void *opaque, ClusterRun *run);

#endif
