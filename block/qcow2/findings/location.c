/*
 * Where a fault is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/findings/location.h"

#include "block/qcow2/format/format.h"
#include "block/qcow2/format/l2.h"

Qcow2Location qcow2_location(ImageCheckStructure structure, uint64_t entry_offset, uint64_t offset, uint64_t size)
{
    return (Qcow2Location){
        .structure = structure,
        .has_entry = true,
        .entry_offset = entry_offset,
        .cluster_offset = offset,
        .cluster_size = size,
    };
}

Qcow2Location qcow2_location_range(ImageCheckStructure structure, uint64_t offset, uint64_t size)
{
    return (Qcow2Location){.structure = structure, .cluster_offset = offset, .cluster_size = size};
}

void qcow2_location_set_guest(Qcow2Location *location, const Qcow2HeaderFields *h, uint64_t offset, uint64_t size)
{
    uint64_t end = location->snapshot ? UINT64_MAX : h->size;

    location->guest_offset = offset;
    location->guest_size = offset < end ? MIN(size, end - offset) : 0;
}

Qcow2Location qcow2_location_l1_entry(const Qcow2HeaderFields *h, const char *snapshot, uint64_t slot, uint64_t index,
                                      uint64_t value)
{
    unsigned bits = h->l2_bits + h->cluster_bits;
    Qcow2Location location = qcow2_location(IMAGE_CHECK_STRUCTURE_L1, slot, value & QCOW2_OFFSET_MASK, h->cluster_size);

    location.snapshot = snapshot;
    if (index >> (64 - bits) == 0) {
        qcow2_location_set_guest(&location, h, index << bits, UINT64_C(1) << bits);
    }
    return location;
}

Qcow2Location qcow2_location_l2_entry(const Qcow2HeaderFields *h, const Qcow2Location *l1_entry, uint64_t l1_index,
                                      uint32_t index)
{
    uint64_t table = l1_entry->cluster_offset;
    Qcow2Location location =
        qcow2_location(IMAGE_CHECK_STRUCTURE_L2, table + (uint64_t)index * qcow2_l2_entry_size(h), 0, 0);

    location.snapshot = l1_entry->snapshot;
    if (l1_index >> (64 - h->l2_bits - h->cluster_bits) == 0) {
        qcow2_location_set_guest(&location, h, (l1_index << h->l2_bits | index) << h->cluster_bits, h->cluster_size);
    }
    return location;
}
