/*
 * Counting the refcount blocks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2-refblocks.h"

#include <errno.h>
#include <stddef.h>

#include "block/qcow2-format.h"
#include "block/source.h"

/* Entry @index of the table, which refers to a block at @offset. */
static Qcow2Place entry_place(const Qcow2HeaderFields *h, uint64_t index, uint64_t offset)
{
    return qcow2_place(IMAGE_CHECK_STRUCTURE_REFCOUNT_TABLE, h->refcount_table_offset + index * 8, offset,
                       h->cluster_size);
}

static void report_shared(const Qcow2Place *entry, uint64_t index, uint64_t references, Qcow2Report *report)
{
    Qcow2Finding finding = {QCOW2_FINDING_REFCOUNT_BLOCK_SHARED, {index, references}, .place = *entry};

    finding.place.structure = IMAGE_CHECK_STRUCTURE_REFCOUNT_BLOCK;
    finding.place.has_reference = true;
    finding.place.reference = references;
    qcow2_report(report, &finding);
}

static void leave_out(Qcow2Counting *c, uint64_t cluster)
{
    if (!c->blocks_left_out) {
        c->blocks_left_out = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    }
    g_hash_table_add(c->blocks_left_out, g_memdup2(&cluster, sizeof(cluster)));
}

/* Counts one reference to the block at @offset, number @index of the table; false when memory is short. */
static bool count_block(uint64_t offset, uint64_t index, Qcow2Counting *c, Qcow2Report *report)
{
    Qcow2Place entry = entry_place(c->header, index, offset);
    uint64_t cluster = offset >> c->header->cluster_bits;
    uint64_t references = refmap_get(c->refs, cluster);

    if (qcow2_region_beyond_end(c, offset, c->header->cluster_size)) {
        /* possible where an unaligned structure has let the map grow by a cluster */
        qcow2_report(report, &(Qcow2Finding){
                                 QCOW2_FINDING_REGION_BEYOND_END, {offset, c->header->cluster_size}, .place = entry});
    } else if (references == c->max) {
        qcow2_report(report, &(Qcow2Finding){QCOW2_FINDING_REFCOUNT_OVERFLOW, {offset}, .place = entry});
        leave_out(c, cluster);
    } else if (refmap_add(c->refs, cluster, 1, 1)) {
        references++;
    } else {
        return false;
    }
    if (references != 1) {
        report_shared(&entry, index, references, report);
    }
    return true;
}

static void report_entry(ImageCheckFindingKind kind, const Qcow2HeaderFields *h, uint64_t index, uint64_t offset,
                         Qcow2Report *report)
{
    qcow2_report(report, &(Qcow2Finding){kind, {index}, .place = entry_place(h, index, offset)});
}

/* Reports each row of entries that could not be read. */
static void report_unread(const Qcow2RefcountEntries *table, const Qcow2HeaderFields *h, Qcow2Report *report)
{
    size_t end;

    for (size_t i = 0; table->error && i < table->n; i = end) {
        bool unread = qcow2_refcount_entry_unread(table, i);
        uint64_t offset = h->refcount_table_offset + i * 8;

        end = i;
        while (end < table->n && qcow2_refcount_entry_unread(table, end) == unread) {
            end = MIN(end + QCOW2_REFTABLE_PIECE, table->n);
        }
        if (unread) {
            qcow2_report(report, &(Qcow2Finding){QCOW2_FINDING_REFCOUNT_TABLE_UNREADABLE,
                                                 {offset},
                                                 {g_strerror(table->error)},
                                                 qcow2_place(IMAGE_CHECK_STRUCTURE_REFCOUNT_TABLE,
                                                             offsetof(Qcow2DiskHeader, refcount_table_offset), offset,
                                                             (end - i) * 8)});
            qcow2_report_failure(report, table->error);
        }
    }
}

bool qcow2_count_refcount_blocks(const Qcow2RefcountEntries *table, Qcow2Counting *c, Qcow2Report *report,
                                 GError **errp)
{
    report_unread(table, c->header, report);
    for (size_t i = 0; i < table->n; i++) {
        uint64_t offset = table->entries[i] & QCOW2_REFTABLE_OFFSET_MASK;

        if (!table->entries[i]) {
            continue; /* as most are of a small image */
        }
        if (table->entries[i] & QCOW2_REFTABLE_RESERVED) {
            report_entry(QCOW2_FINDING_REFCOUNT_TABLE_RESERVED_BITS, c->header, i, offset, report);
        } else if (offset % c->header->cluster_size) {
            report_entry(QCOW2_FINDING_REFCOUNT_BLOCK_UNALIGNED, c->header, i, offset, report);
        } else if (offset >> c->header->cluster_bits >= refmap_clusters(c->refs)) {
            report_entry(QCOW2_FINDING_REFCOUNT_BLOCK_OUTSIDE, c->header, i, offset, report);
        } else if (offset && !count_block(offset, i, c, report)) {
            g_set_error_literal(errp, BLOCK_ERROR, ENOMEM, "No memory for counting references");
            return false;
        }
    }
    return true;
}
