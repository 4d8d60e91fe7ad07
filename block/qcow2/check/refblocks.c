/*
 * Counting the refcount blocks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/check/refblocks.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>

#include "block/qcow2/format/format.h"
#include "block/source.h"
#include "util/number.h"

/* Entry @index of the table, which refers to a block at @offset. */
static Qcow2Location entry_location(const Qcow2HeaderFields *h, uint64_t index, uint64_t offset)
{
    return qcow2_location(IMAGE_CHECK_STRUCTURE_REFCOUNT_TABLE, h->refcount_table_offset + index * 8, offset,
                          h->cluster_size);
}

static void report_shared(const Qcow2Location *entry, uint64_t index, uint64_t references, Qcow2Report *report)
{
    Qcow2Finding finding = {QCOW2_FINDING_REFCOUNT_BLOCK_SHARED, {index, references}, .location = *entry};

    finding.location.structure = IMAGE_CHECK_STRUCTURE_REFCOUNT_BLOCK;
    finding.location.has_reference = true;
    finding.location.reference = references;
    qcow2_report(report, &finding);
}

static void leave_out(Qcow2Counting *c, uint64_t cluster)
{
    if (!c->blocks_left_out) {
        c->blocks_left_out = g_hash_table_new_full(hash_u64, g_int64_equal, g_free, NULL);
    }
    g_hash_table_add(c->blocks_left_out, g_memdup2(&cluster, sizeof(cluster)));
}

/*
 * Counts the reference to the block at @offset, entry @index of the table, and reports what is wrong with it. False
 * when memory is short.
 */
static bool count_block(Qcow2Counting *c, uint64_t index, uint64_t offset, Qcow2Report *report)
{
    Qcow2Location entry = entry_location(c->header, index, offset);
    uint64_t cluster = offset >> c->header->cluster_bits;
    uint64_t references = refmap_get(c->refs, cluster);

    assert(references <= c->max); /* qcow2_counting_finish() has lowered them */
    if (qcow2_region_beyond_end(c, offset, c->header->cluster_size)) {
        /* possible where an unaligned structure has let the map grow by a cluster */
        qcow2_report(
            report,
            &(Qcow2Finding){QCOW2_FINDING_REGION_BEYOND_END, {offset, c->header->cluster_size}, .location = entry});
    } else if (references == c->max) {
        leave_out(c, cluster);
        qcow2_report(report, &(Qcow2Finding){QCOW2_FINDING_REFCOUNT_OVERFLOW, {offset}, .location = entry});
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
    qcow2_report(report, &(Qcow2Finding){kind, {index}, .location = entry_location(h, index, offset)});
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
                                                 qcow2_location(IMAGE_CHECK_STRUCTURE_REFCOUNT_TABLE,
                                                                offsetof(Qcow2DiskHeader, refcount_table_offset),
                                                                offset, (end - i) * 8)});
            qcow2_report_failure(report, table->error);
        }
    }
}

bool qcow2_refcount_entry_bad(const Qcow2Counting *c, uint64_t entry, ImageCheckFindingKind *kind)
{
    uint64_t offset = entry & QCOW2_REFTABLE_OFFSET_MASK;

    if (entry & QCOW2_REFTABLE_RESERVED) {
        *kind = QCOW2_FINDING_REFCOUNT_TABLE_RESERVED_BITS;
    } else if (offset % c->header->cluster_size) {
        *kind = QCOW2_FINDING_REFCOUNT_BLOCK_UNALIGNED;
    } else if (offset >> c->header->cluster_bits >= refmap_clusters(c->refs)) {
        *kind = QCOW2_FINDING_REFCOUNT_BLOCK_OUTSIDE;
    } else {
        return false;
    }
    return true;
}

static bool no_memory(GError **errp)
{
    g_set_error_literal(errp, BLOCK_ERROR, ENOMEM, "No memory for counting references");
    return false;
}

bool qcow2_count_refcount_blocks(const Qcow2RefcountEntries *table, Qcow2Counting *c, Qcow2Report *report,
                                 GError **errp)
{
    report_unread(table, c->header, report);
    for (size_t i = 0; i < table->n; i++) {
        uint64_t offset = table->entries[i] & QCOW2_REFTABLE_OFFSET_MASK;
        ImageCheckFindingKind kind;

        if (!table->entries[i]) {
            continue; /* as most are of a small image */
        }
        if (qcow2_refcount_entry_bad(c, table->entries[i], &kind)) {
            report_entry(kind, c->header, i, offset, report);
        } else if (!count_block(c, i, offset, report)) {
            return no_memory(errp);
        }
    }
    return true;
}
