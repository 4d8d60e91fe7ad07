/*
 * The size of the guest's disk.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/rescue/disk-size.h"

#include "block/qcow2/rescue/possible.h"
#include "util/number.h"

#define ROUND_TO (UINT64_C(1) << 20) /* disks have whole MiB more often than not */

/* Where the last entry with data of all slots ends; a table without data has one entry at least. */
static uint64_t mapped_end(const Qcow2Found *found, const Qcow2Trees *trees)
{
    const Qcow2HeaderFields *h = qcow2_found_header(found);

    for (guint i = trees->slots->len; i-- > 0;) {
        const Qcow2Slot *slot = &g_array_index(trees->slots, Qcow2Slot, i);
        const Qcow2FoundTable *t = qcow2_table_at(found->geometry.tables, slot->table);

        if (slot->table && !slot->blank) {
            return i * qcow2_table_reach(h) + ((t ? t->last_entry : 0) + UINT64_C(1)) * h->cluster_size;
        }
    }
    return 0;
}

/* What lies behind the end of the disk is the state of a snapshot. */
static bool agrees(const Qcow2Found *found, uint64_t size, uint64_t end)
{
    return qcow2_possible_disk_size(found, size) &&
           (end <= size + qcow2_found_header(found)->cluster_size - 1 || qcow2_has_vm_state(found));
}

static bool header_agrees(const Qcow2Found *found, const Qcow2Trees *trees, const Qcow2HeaderFields *r, uint64_t end)
{
    uint64_t needed = DIV_ROUND_UP(r->size, qcow2_table_reach(qcow2_found_header(found)));
    bool judged = r->l1_size && r->l1_size <= QCOW2_MAX_L1_ENTRIES && r->l1_size >= trees->slots->len;

    return agrees(found, r->size, end) && (!judged || needed <= r->l1_size);
}

static void set_size(Qcow2Trees *trees, uint64_t size, bool known, const char *from)
{
    trees->size = size;
    trees->size_known = known;
    g_free(trees->size_from);
    trees->size_from = g_strdup(from);
}

void qcow2_find_disk_size(const Qcow2Found *found, Qcow2Trees *trees)
{
    uint64_t end = mapped_end(found, trees);

    if (found->remains.is_qcow2 && header_agrees(found, trees, &found->remains.header, end)) {
        set_size(trees, found->remains.header.size, true, "from the header");
        return;
    }
    if (found->metadata_remains.is_qcow2 && agrees(found, found->metadata_remains.header.size, end)) {
        set_size(trees, found->metadata_remains.header.size, true, "from the earlier metadata");
        return;
    }
    for (guint i = found->snapshots->len; i-- > 0;) {
        uint64_t size = g_array_index(found->snapshots, Qcow2FoundSnapshot, i).disk_size;

        if (agrees(found, size, end)) {
            set_size(trees, size, true, "from a snapshot, whose disk it is");
            return;
        }
    }
    align_up_u64(end, ROUND_TO, &end);
    set_size(trees, MAX(end, ROUND_TO), false, "the end of what is mapped, rounded up: the true size is unknown");
}
