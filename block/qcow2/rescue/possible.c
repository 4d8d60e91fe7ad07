/*
 * Numbers of a header that can be.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/rescue/possible.h"

#include "util/number.h"

bool qcow2_possible_disk_size(const Qcow2Found *found, uint64_t size)
{
    return size && size <= INT64_MAX && size % QCOW2_SECTOR_SIZE == 0 &&
           DIV_ROUND_UP(size, qcow2_table_reach(qcow2_found_header(found))) <= QCOW2_MAX_L1_ENTRIES;
}

bool qcow2_has_vm_state(const Qcow2Found *found)
{
    for (guint i = 0; i < found->snapshots->len; i++) {
        if (g_array_index(found->snapshots, Qcow2FoundSnapshot, i).has_vm_state) {
            return true;
        }
    }
    return false;
}

bool qcow2_l1_size_fits(const Qcow2Found *found, uint32_t n)
{
    const Qcow2HeaderFields *h = qcow2_found_header(found);
    uint64_t size = found->remains.header.size, needed, most;

    if (!n || !found->remains.is_qcow2 || !qcow2_possible_disk_size(found, size)) {
        return n != 0 && n <= h->cluster_size / 8;
    }
    needed = DIV_ROUND_UP(size, qcow2_table_reach(h));
    most = DIV_ROUND_UP(needed, h->cluster_size / 8) * (h->cluster_size / 8);
    return n >= needed && (n <= most || qcow2_has_vm_state(found));
}
