/*
 * The snapshot table of an image whose header may be lost.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/rescue/snapshots.h"

#include <string.h>

#include "block/qcow2/format/entries.h"
#include "block/qcow2/inspect/evidence-forms.h"
#include "util/number.h"

#define ENTRY_READ (QCOW2_SECTOR_SIZE + QCOW2_MAX_SNAPSHOT_EXTRA) /* bytes: an entry but for a long name */

/* All tables that are tried together have no more entries than this. */
#define MOST_ENTRIES (UINT64_C(4) * QCOW2_MAX_SNAPSHOTS)

/* Its L1 table is in use, and refers to clusters in the file only. */
static bool has_l1_table(const Qcow2Found *found, const Qcow2FoundSnapshot *s)
{
    const Qcow2HeaderFields *h = qcow2_found_header(found);
    uint8_t first[QCOW2_SECTOR_SIZE];

    return s->l1_offset % h->cluster_size == 0 &&
           s->l1_offset + UINT64_C(8) * s->l1_size <= found->in->source->length + h->cluster_size &&
           qcow2_found_in_use(found, s->l1_offset) &&
           !block_source_read(found->in->source, first, sizeof(first), s->l1_offset) &&
           qcow2_may_be_l1(first, MIN(sizeof(first), UINT64_C(8) * s->l1_size), h, found->in->source->length);
}

/* Reads the entry at *@at, and moves *@at to the next. False if it is none. */
static bool read_entry(const Qcow2Found *found, uint64_t *at, Qcow2FoundSnapshot *s)
{
    const Qcow2HeaderFields *h = qcow2_found_header(found);
    uint8_t bytes[ENTRY_READ];
    const uint8_t *extra = bytes + sizeof(Qcow2DiskSnapshot);
    Qcow2SnapshotFields d;

    if (block_source_read(found->in->source, bytes, sizeof(bytes), *at) ||
        !qcow2_may_be_snapshot_table(bytes, sizeof(bytes), h, found->in->source->length)) {
        return false;
    }
    d = qcow2_decode_snapshot(bytes);
    *s = (Qcow2FoundSnapshot){
        .l1_offset = d.l1_table_offset,
        .l1_size = d.l1_size,
        .disk_size = d.extra_data_size >= 16 ? load_be64(extra + 8) : 0,
        .has_vm_state = d.extra_data_size >= 8 ? load_be64(extra) != 0 : d.vm_state_size != 0,
    };
    *at += qcow2_snapshot_length(&d);
    *at = (*at + QCOW2_SNAPSHOT_ALIGNMENT - 1) & ~(uint64_t)(QCOW2_SNAPSHOT_ALIGNMENT - 1);
    return has_l1_table(found, s);
}

/* The snapshots of the table at @offset, @most at most: as far as they are sound. */
static GArray *read_table(const Qcow2Found *found, uint64_t offset, uint32_t most)
{
    GArray *snapshots = g_array_new(FALSE, FALSE, sizeof(Qcow2FoundSnapshot));
    Qcow2FoundSnapshot s;
    uint64_t at = offset;

    while (snapshots->len < most && at - offset < QCOW2_MAX_SNAPSHOT_TABLE_BYTES && read_entry(found, &at, &s)) {
        g_array_append_val(snapshots, s);
    }
    return snapshots;
}

static void try_table(Qcow2Found *found, uint64_t offset, uint32_t most, uint64_t *read)
{
    GArray *snapshots;

    if (!offset || offset % qcow2_found_header(found)->cluster_size || !qcow2_found_in_use(found, offset) ||
        *read >= MOST_ENTRIES) {
        return;
    }
    snapshots = read_table(found, offset, most);
    *read += snapshots->len + 1;
    if (snapshots->len > found->snapshots->len) {
        g_array_unref(found->snapshots);
        found->snapshots = snapshots;
        found->snapshots_offset = offset;
    } else {
        g_array_unref(snapshots);
    }
}

void qcow2_find_snapshots(Qcow2Found *found)
{
    const Qcow2HeaderFields *h = &found->remains.header;
    uint64_t read = 0;

    if (found->remains.is_qcow2 && h->nb_snapshots && h->nb_snapshots <= QCOW2_MAX_SNAPSHOTS) {
        try_table(found, h->snapshots_offset, h->nb_snapshots, &read);
        if (found->snapshots->len == h->nb_snapshots) {
            return;
        }
    }
    if (found->remains.is_qcow2 && !h->nb_snapshots && !h->snapshots_offset && !found->counts) {
        return; /* old tables may lie in free clusters */
    }
    for (guint i = 0; i < found->scan.snapshots->len; i++) {
        try_table(found, g_array_index(found->scan.snapshots, uint64_t, i), QCOW2_MAX_SNAPSHOTS, &read);
    }
}
