/*
 * What was lost without leaving a fault: something that is not referred to any more, and so looks leaked, but of which
 * there are traces elsewhere.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/repair.h"

#include "block/qcow2/format/format.h"

/* True where the cluster at @offset has a count that nothing accounts for, or one that is not known. */
static bool looks_leaked(const Qcow2Repair *r, uint64_t offset)
{
    uint64_t cluster = offset >> r->header->cluster_bits, stored;

    return cluster < r->file_clusters && !qcow2_repair_in_use(r, cluster) &&
           (!qcow2_stored_count(r->check.stored, cluster, &stored) || stored > refmap_get(r->wanted, cluster));
}

/* What leaks, or may, as counts are not known. */
static bool anything_leaked(const Qcow2Repair *r)
{
    return r->check.report.leaks || r->check.report.check_errors;
}

/* What looks like an entry and was not read counts where what it refers to is not in use. */
bool qcow2_repair_snapshot_hidden(const Qcow2Repair *r)
{
    g_autoptr(GArray) l1_tables = NULL;

    if (!anything_leaked(r)) {
        return false;
    }
    l1_tables = qcow2_snapshots_hidden(r->image->source, r->header, &r->check.snapshots);
    for (guint i = 0; i < l1_tables->len; i++) {
        if (looks_leaked(r, g_array_index(l1_tables, uint64_t, i))) {
            return true;
        }
    }
    return false;
}

static bool snapshot_lost(const Qcow2Repair *r)
{
    const Qcow2Snapshots *snapshots = &r->check.snapshots;

    for (guint i = 0; i < snapshots->items->len; i++) {
        const Qcow2Snapshot *s = &g_array_index(snapshots->items, Qcow2Snapshot, i);

        if (qcow2_snapshot_is_zeros(s) || (!s->l1_size && s->l1_table_offset && looks_leaked(r, s->l1_table_offset))) {
            return true;
        }
    }
    return r->snapshot_hidden;
}

const char *qcow2_repair_lost(const Qcow2Repair *r)
{
    if (!anything_leaked(r)) {
        return NULL;
    }
    if ((r->header->autoclear_features & QCOW2_AUTOCLEAR_BITMAPS) && !r->image->extensions.has_bitmaps) {
        return "the header says that there are bitmaps, but not where";
    }
    return snapshot_lost(r) ? "the snapshot table has traces of a snapshot that is lost" : NULL;
}
