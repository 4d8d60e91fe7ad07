/*
 * The guest's disk as runs of clusters, in its own order: what the file has data for, and what is wrong with that.
 *
 * A cluster is data, compressed, or free, which is one without data in the file. Corrupt are the clusters that a
 * corruption of the active disk concerns, and those that cannot be what was written. Memory follows the number of
 * mappings and findings, whatever size the disk claims. Not thread-safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_MAP_GUEST_RUNS_H
#define UI_MAP_GUEST_RUNS_H

#include <glib.h>

#include "block/cluster-roles.h"
#include "block/mappings.h"
#include "qapi/qapi-types.h"

/*
 * Sets @by_guest to what the active disk has of @mappings, with guest and host in each other's place: they are sorted
 * by the guest's clusters. The caller clears it. Returns false when memory is short.
 */
bool guest_mappings(const Mappings *mappings, Mappings *by_guest);

typedef struct GuestRuns GuestRuns;

/*
 * @by_guest is borrowed. The disk is one of @clusters clusters; @check has findings and a judgement. Where @by_guest
 * lacks some, a cluster that is there stands for those up to the next multiple of its step.
 */
GuestRuns *guest_runs_new(const Mappings *by_guest, uint64_t clusters, uint64_t cluster_size, const ImageCheck *check);
void guest_runs_free(GuestRuns *runs);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(GuestRuns, guest_runs_free)

/* Sets *@run to the next run of @opaque, a GuestRuns, in the order of the disk. Returns false at its end. */
bool guest_runs_next(void *opaque, ClusterRun *run);

#endif
