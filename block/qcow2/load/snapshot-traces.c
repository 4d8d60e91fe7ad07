/*
 * Traces of snapshots that the snapshot table does not list.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/load/snapshot-traces.h"

#include "block/qcow2/format/format.h"
#include "util/number.h"
#include "util/search.h"

static bool was_read(const Qcow2Snapshots *snapshots, uint64_t at)
{
    size_t i = ARRAY_FIRST_NOT_BELOW(snapshots->items, Qcow2Snapshot, entry_offset, at);

    return i < snapshots->items->len && g_array_index(snapshots->items, Qcow2Snapshot, i).entry_offset == at;
}

/* Returns true if more entries may follow than were read; else others are too many, and known. */
static bool may_have_more(const Qcow2HeaderFields *h, const Qcow2Snapshots *snapshots)
{
    return snapshots->items->len == h->nb_snapshots ||
           (h->nb_snapshots > QCOW2_MAX_SNAPSHOTS && snapshots->items->len < QCOW2_MAX_SNAPSHOTS);
}

/* The end of where traces can be; 0 where there is no table. */
static uint64_t traces_end(const SnapshotReader *r, const Qcow2Snapshots *snapshots)
{
    const Qcow2HeaderFields *h = r->header;
    uint64_t end = h->snapshots_offset + MIN(snapshots->table_length, QCOW2_MAX_SNAPSHOT_TABLE_BYTES);

    if (h->snapshots_offset == 0 || h->snapshots_offset >= r->source->length || h->snapshots_offset % h->cluster_size) {
        return 0;
    }
    if (may_have_more(h, snapshots)) {
        align_up_u64(MAX(end, h->snapshots_offset + 1), h->cluster_size, &end);
    }
    return MIN(end, r->source->length);
}

/* Zeros and bytes of a name can look like an entry without an L1 table: it has to follow the last that was read. */
static bool lost_tree_behind(SnapshotReader *r, const Qcow2Snapshots *snapshots, uint64_t end)
{
    uint64_t at = r->header->snapshots_offset + snapshots->table_length;
    Qcow2Snapshot s;

    while (align_up_u64(at, QCOW2_SNAPSHOT_ALIGNMENT, &at) && at + sizeof(Qcow2DiskSnapshot) <= end &&
           snapshot_parse(r, at, &s) && s.extra_data_size <= QCOW2_MAX_SNAPSHOT_EXTRA && snapshot_has_id(r, &s)) {
        if (snapshot_lost_tree(r, &s)) {
            return true;
        }
        at += sizeof(Qcow2DiskSnapshot) + s.extra_data_size + s.id_size + s.name_size;
    }
    return false;
}

GArray *qcow2_snapshots_unlisted(BlockSource *source, const Qcow2HeaderFields *h, const Qcow2Snapshots *snapshots)
{
    SnapshotReader r = {.source = source, .header = h};
    GArray *unlisted = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    uint64_t end = traces_end(&r, snapshots), none = 0;
    Qcow2Snapshot s;

    for (uint64_t at = h->snapshots_offset; at < end; at += QCOW2_SNAPSHOT_ALIGNMENT) {
        if (!was_read(snapshots, at) && snapshot_is_entry(&r, at) && snapshot_parse(&r, at, &s) && s.l1_table_offset) {
            g_array_append_val(unlisted, s.l1_table_offset);
        }
    }
    if (lost_tree_behind(&r, snapshots, end)) {
        g_array_append_val(unlisted, none);
    }
    snapshot_reader_clear(&r);
    return unlisted;
}
