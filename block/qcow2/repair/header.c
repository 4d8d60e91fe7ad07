/*
 * The tables that the header refers to after a repair; and what else that changes where an L1 entry has the header for
 * an L2 table, as a check counts what its words then refer to.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/repair.h"

#include <stddef.h>
#include <string.h>

#include "block/qcow2/format/format.h"
#include "util/number.h"

/* The bytes of the header that change; their offset in it. The fields are neighbours. */
static size_t switched_bytes(const Qcow2Repair *r, size_t *size, Qcow2DiskHeader *new)
{
    size_t from =
        r->rebuild ? offsetof(Qcow2DiskHeader, refcount_table_offset) : offsetof(Qcow2DiskHeader, nb_snapshots);
    size_t to = r->switch_snapshots ? offsetof(Qcow2DiskHeader, incompatible_features)
                                    : offsetof(Qcow2DiskHeader, nb_snapshots);

    *new = (Qcow2DiskHeader){
        .refcount_table_offset = GUINT64_TO_BE(r->new_table),
        .refcount_table_clusters = GUINT32_TO_BE(r->new_table_clusters),
        .nb_snapshots = GUINT32_TO_BE(r->check.snapshots.items->len),
        .snapshots_offset = GUINT64_TO_BE(r->new_snapshots),
    };
    *size = from < to ? to - from : 0;
    return from;
}

void qcow2_repair_add_switch(Qcow2Repair *r)
{
    Qcow2DiskHeader new;
    Edit edit = {
        .structure = IMAGE_CHECK_STRUCTURE_HEADER,
        .why = r->rebuild ? qcow2_repair_why_rebuilt(r) : qcow2_repair_why_rewritten(r),
        .count = 1,
        .what = "refer to the new tables",
    };

    edit.offset = switched_bytes(r, &edit.size, &new);
    if (edit.size) {
        /* in one write, or not at all */
        edit.bytes = g_memdup2((const uint8_t *)&new + edit.offset, edit.size);
        edits_add(r->edits, EDIT_PHASE_SWITCH, &edit);
    }
}

/* ---- the header as an L2 table ---- */

/* Adds @weight references to a cluster, or takes them away; false when memory is short. */
static bool change_cluster(Qcow2Repair *r, uint64_t cluster, uint64_t weight, bool add)
{
    uint64_t count = refmap_get(r->wanted, cluster), max = r->check.counting.max;

    if (qcow2_count_incomplete(&r->check.counting, cluster)) {
        return true; /* keeps the greatest count */
    }
    return add ? count >= max || refmap_add(r->wanted, cluster, 1, MIN(weight, max - count))
               : refmap_subtract(r->wanted, cluster, MIN(weight, count));
}

static bool change_region(Qcow2Repair *r, uint64_t offset, uint64_t size, uint64_t weight, bool add)
{
    unsigned bits = r->header->cluster_bits;
    uint64_t last = (offset + size - 1) >> bits;
    /* what the plan appends is in the file then */
    bool outside = add ? last >= refmap_clusters(r->wanted) : qcow2_region_beyond_end(&r->check.counting, offset, size);

    for (uint64_t i = offset >> bits; !outside && i <= last; i++) {
        if (!change_cluster(r, i, weight, add)) {
            return false;
        }
    }
    return true;
}

/* Counts what @bytes, which are those of the header, refer to as an L2 table, or does so no more. */
static bool change_contents(Qcow2Repair *r, const uint8_t *bytes, uint64_t weight, bool add)
{
    g_autoptr(Qcow2L2Result) contents = qcow2_l2_result_new(r->header);
    bool ok = contents != NULL;

    if (ok) {
        qcow2_l2_decode(r->header, bytes, contents);
    }
    for (uint32_t i = 0; ok && i < contents->n_runs; i++) {
        const Qcow2Run *run = &contents->runs[i];

        for (uint32_t k = 0; ok && k < run->n; k++) {
            ok = change_region(r, run->offset + k * r->header->cluster_size, r->header->cluster_size, weight, add);
        }
    }
    for (guint i = 0; ok && i < contents->extents->len; i++) {
        const Qcow2Extent *e = &g_array_index(contents->extents, Qcow2Extent, i);

        ok = change_region(r, e->offset, e->length, weight, add);
    }
    return ok;
}

bool qcow2_repair_follow_header(Qcow2Repair *r, GError **errp)
{
    uint64_t weight = qcow2_has_data_file(r->header) ? 0 : qcow2_repair_l2_tables_in(r, 0);
    g_autofree uint8_t *bytes = NULL;
    Qcow2DiskHeader new;
    size_t size, from = switched_bytes(r, &size, &new);
    int failure;

    if (!weight || !size) {
        return true;
    }
    bytes = g_try_malloc(r->header->cluster_size);
    if (!bytes) {
        return qcow2_repair_no_memory(errp);
    }
    failure = block_source_read(r->image->source, bytes, r->header->cluster_size, 0);
    if (failure) {
        return true; /* and nothing is written, as something could not be read */
    }
    if (!change_contents(r, bytes, weight, false)) {
        return qcow2_repair_no_memory(errp);
    }
    memcpy(bytes + from, (const uint8_t *)&new + from, size);
    return change_contents(r, bytes, weight, true) || qcow2_repair_no_memory(errp);
}
