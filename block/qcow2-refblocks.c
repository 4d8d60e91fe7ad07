/*
 * Counting the refcount blocks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2-refblocks.h"

#include <errno.h>

#include "block/qcow2-format.h"
#include "block/source.h"

/* Counts one reference to the block at @offset, number @index of the table; false when memory is short. */
static bool count_block(uint64_t offset, uint64_t index, Qcow2Counting *c, Qcow2Report *report)
{
    uint64_t cluster = offset >> c->header->cluster_bits;
    uint64_t references = refmap_get(c->refs, cluster);

    if (qcow2_region_beyond_end(c, offset, c->header->cluster_size)) {
        /* possible where an unaligned structure has let the map grow by a cluster */
        qcow2_report(report, &(Qcow2Finding){QCOW2_FINDING_REGION_BEYOND_END, {offset, c->header->cluster_size}});
    } else if (references == c->max) {
        qcow2_report(report, &(Qcow2Finding){QCOW2_FINDING_REFCOUNT_OVERFLOW, {offset}});
    } else if (refmap_add(c->refs, cluster, 1, 1)) {
        references++;
    } else {
        return false;
    }
    if (references != 1) {
        qcow2_report(report, &(Qcow2Finding){QCOW2_FINDING_REFCOUNT_BLOCK_SHARED, {index, references}});
    }
    return true;
}

bool qcow2_count_refcount_blocks(const Qcow2RefcountEntries *table, Qcow2Counting *c, Qcow2Report *report,
                                 GError **errp)
{
    for (size_t i = 0; i < table->n; i++) {
        uint64_t offset = table->entries[i] & QCOW2_REFTABLE_OFFSET_MASK;

        if (table->entries[i] & QCOW2_REFTABLE_RESERVED) {
            qcow2_report(report, &(Qcow2Finding){QCOW2_FINDING_REFCOUNT_TABLE_RESERVED_BITS, {i}});
        } else if (offset % c->header->cluster_size) {
            qcow2_report(report, &(Qcow2Finding){QCOW2_FINDING_REFCOUNT_BLOCK_UNALIGNED, {i}});
        } else if (offset >> c->header->cluster_bits >= refmap_clusters(c->refs)) {
            qcow2_report(report, &(Qcow2Finding){QCOW2_FINDING_REFCOUNT_BLOCK_OUTSIDE, {i}});
        } else if (offset && !count_block(offset, i, c, report)) {
            g_set_error_literal(errp, BLOCK_ERROR, ENOMEM, "No memory for counting references");
            return false;
        }
    }
    return true;
}
