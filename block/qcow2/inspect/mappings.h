/*
 * Collects mappings (include/block/mappings.h) while the L2 tables are counted: a visitor of the walk.
 *
 * Threads collect mappings, and hand them over; above a limit they are thinned out. The result does not depend on the
 * number of threads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_INSPECT_MAPPINGS_H
#define BLOCK_QCOW2_INSPECT_MAPPINGS_H

#include "block/mappings.h"
#include "block/qcow2/check/metadata-regions.h"

typedef struct Qcow2MappingCollector Qcow2MappingCollector;

/*
 * For @workers threads. @regions may be filled later, but before the first table is visited. All is borrowed.
 */
Qcow2MappingCollector *qcow2_mapping_collector_new(const Qcow2HeaderFields *header, const Qcow2Regions *regions,
                                                   unsigned workers);
void qcow2_mapping_collector_free(Qcow2MappingCollector *collector);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Qcow2MappingCollector, qcow2_mapping_collector_free)

/* The collector as a visitor, valid as long as the collector. */
const Qcow2TableVisitor *qcow2_mapping_collector_visitor(const Qcow2MappingCollector *collector);

/* Moves the mappings of all threads to @mappings. False and @errp set when memory is short. */
bool qcow2_mapping_collector_finish(Qcow2MappingCollector *collector, Mappings *mappings, GError **errp);

#endif
