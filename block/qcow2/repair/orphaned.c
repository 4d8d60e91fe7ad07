/*
 * Whether leaked clusters are to be kept: for a fault, or for what was lost without leaving one, of which there are
 * traces elsewhere.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/orphaned.h"

#include "block/qcow2/format/format.h"

/*
 * Faults behind which there may be clusters that then look as if they were leaked: what refers to them cannot be read,
 * or refers to a place where they are not. Where an entry has a bit wrong, others of it may be.
 */
#define MAY_CAUSE_FALSE_LEAKS                                                                                          \
    (QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOTS_TOO_MANY) | QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOT_TABLE_UNALIGNED) | \
     QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOT_EXTRA_TOO_LARGE) |                                                       \
     QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOT_TABLE_TOO_BIG) |                                                         \
     QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOT_TABLE_UNREADABLE) | QCOW2_FINDING_BIT(QCOW2_FINDING_REGION_BEYOND_END) | \
     QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOT_L1_UNALIGNED) | QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOT_L1_TOO_LARGE) | \
     QCOW2_FINDING_BIT(QCOW2_FINDING_L1_UNREADABLE) | QCOW2_FINDING_BIT(QCOW2_FINDING_L1_RESERVED_BITS) |              \
     QCOW2_FINDING_BIT(QCOW2_FINDING_L2_TABLE_UNALIGNED) | QCOW2_FINDING_BIT(QCOW2_FINDING_L2_UNREADABLE) |            \
     QCOW2_FINDING_BIT(QCOW2_FINDING_L2_RESERVED_BITS) | QCOW2_FINDING_BIT(QCOW2_FINDING_COMPRESSED_COPIED) |          \
     QCOW2_FINDING_BIT(QCOW2_FINDING_COMPRESSED_WITH_DATA_FILE) |                                                      \
     QCOW2_FINDING_BIT(QCOW2_FINDING_COMPRESSED_WITH_SUBCLUSTERS) | QCOW2_FINDING_BIT(QCOW2_FINDING_DATA_UNALIGNED) |  \
     QCOW2_FINDING_BIT(QCOW2_FINDING_UNALLOCATED_WITH_SUBCLUSTERS) |                                                   \
     QCOW2_FINDING_BIT(QCOW2_FINDING_BITMAP_DIRECTORY_DAMAGED) |                                                       \
     QCOW2_FINDING_BIT(QCOW2_FINDING_BITMAP_DIRECTORY_UNREADABLE) | QCOW2_FINDING_BIT(QCOW2_FINDING_BITMAP_DAMAGED) |  \
     QCOW2_FINDING_BIT(QCOW2_FINDING_BITMAP_TABLE_UNREADABLE) | QCOW2_FINDING_BIT(QCOW2_FINDING_BITMAP_TABLE_ENTRY))

bool repair_may_cause_false_leaks(const RepairInput *in)
{
    return repair_found_any(in, MAY_CAUSE_FALSE_LEAKS);
}

/* True where the cluster at @offset has a count that nothing accounts for, or one that is not known. */
static bool looks_leaked(const RepairInput *in, const MetadataLayout *layout, uint64_t offset)
{
    uint64_t cluster = offset >> in->header->cluster_bits, stored;

    return cluster < layout->file_clusters && !layout_in_use(layout, cluster) &&
           (!qcow2_stored_count(in->check->stored, cluster, &stored) ||
            stored > refmap_get(in->check->counting.refs, cluster));
}

/* What leaks, or may, as counts are not known. */
static bool anything_leaked(const RepairInput *in)
{
    return in->check->report.leaks || in->check->report.check_errors;
}

/* What looks like an entry and was not read counts where what it refers to is not in use. */
bool repair_snapshot_unlisted(const RepairInput *in, const MetadataLayout *layout)
{
    g_autoptr(GArray) l1_tables = NULL;

    if (!anything_leaked(in)) {
        return false;
    }
    l1_tables = qcow2_snapshots_unlisted(in->image->source, in->header, &in->check->snapshots);
    for (guint i = 0; i < l1_tables->len; i++) {
        if (looks_leaked(in, layout, g_array_index(l1_tables, uint64_t, i))) {
            return true;
        }
    }
    return false;
}

static bool snapshot_orphaned(const RepairInput *in, const MetadataLayout *layout)
{
    const Qcow2Snapshots *snapshots = &in->check->snapshots;

    for (guint i = 0; i < snapshots->items->len; i++) {
        const Qcow2Snapshot *s = &g_array_index(snapshots->items, Qcow2Snapshot, i);

        if (qcow2_snapshot_is_zeros(s) ||
            (!s->l1_size && s->l1_table_offset && looks_leaked(in, layout, s->l1_table_offset))) {
            return true;
        }
    }
    return repair_snapshot_unlisted(in, layout);
}

const char *repair_orphaned(const RepairInput *in, const MetadataLayout *layout)
{
    if (!anything_leaked(in)) {
        return NULL;
    }
    if ((in->header->autoclear_features & QCOW2_AUTOCLEAR_BITMAPS) && !in->image->extensions.has_bitmaps) {
        return "the header says that there are bitmaps, but not where";
    }
    return snapshot_orphaned(in, layout) ? "the snapshot table has traces of a snapshot that is lost" : NULL;
}
