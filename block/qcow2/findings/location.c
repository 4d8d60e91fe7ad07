/*
 * Where a fault is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/findings/location.h"

#include "block/qcow2/format/format.h"
#include "block/qcow2/format/l2.h"

Qcow2Place qcow2_place(ImageCheckStructure structure, uint64_t entry_offset, uint64_t offset, uint64_t size)
{
    return (Qcow2Place){
        .structure = structure,
        .has_entry = true,
        .entry_offset = entry_offset,
        .cluster_offset = offset,
        .cluster_size = size,
    };
}

Qcow2Place qcow2_place_range(ImageCheckStructure structure, uint64_t offset, uint64_t size)
{
    return (Qcow2Place){.structure = structure, .cluster_offset = offset, .cluster_size = size};
}

void qcow2_place_set_guest(Qcow2Place *place, const Qcow2HeaderFields *h, uint64_t offset, uint64_t size)
{
    uint64_t end = place->snapshot ? UINT64_MAX : h->size;

    place->guest_offset = offset;
    place->guest_size = offset < end ? MIN(size, end - offset) : 0;
}

Qcow2Place qcow2_place_l1_entry(const Qcow2HeaderFields *h, const char *snapshot, uint64_t slot, uint64_t index,
                                uint64_t value)
{
    unsigned bits = h->l2_bits + h->cluster_bits;
    Qcow2Place place = qcow2_place(IMAGE_CHECK_STRUCTURE_L1, slot, value & QCOW2_OFFSET_MASK, h->cluster_size);

    place.snapshot = snapshot;
    if (index >> (64 - bits) == 0) {
        qcow2_place_set_guest(&place, h, index << bits, UINT64_C(1) << bits);
    }
    return place;
}

Qcow2Place qcow2_place_l2_entry(const Qcow2HeaderFields *h, const Qcow2Place *l1_entry, uint64_t l1_index,
                                uint32_t index)
{
    uint64_t table = l1_entry->cluster_offset;
    Qcow2Place place = qcow2_place(IMAGE_CHECK_STRUCTURE_L2, table + (uint64_t)index * qcow2_l2_entry_size(h), 0, 0);

    place.snapshot = l1_entry->snapshot;
    if (l1_index >> (64 - h->l2_bits - h->cluster_bits) == 0) {
        qcow2_place_set_guest(&place, h, (l1_index << h->l2_bits | index) << h->cluster_bits, h->cluster_size);
    }
    return place;
}
