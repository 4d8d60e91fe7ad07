/*
 * One L2 table: entries that are not usual.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/format/l2.h"

#include "block/qcow2/format/format.h"

Qcow2L2Shape qcow2_l2_shape(const Qcow2HeaderFields *h)
{
    Qcow2L2Shape shape = {
        .n = UINT32_C(1) << h->l2_bits,
        .entry_size = qcow2_l2_entry_size(h),
        .cluster_bits = h->cluster_bits,
        .cluster_size = h->cluster_size,
        .extended = qcow2_has_extended_l2(h),
        .data_file = qcow2_has_data_file(h),
        .unusual = QCOW2_OFLAG_COMPRESSED | QCOW2_L2_RESERVED | (QCOW2_OFFSET_MASK & (h->cluster_size - 1)),
    };

    assert((uint64_t)shape.n * shape.entry_size == h->cluster_size);
    return shape;
}

/*@ assigns \nothing; */
static uint32_t allocated_subclusters(uint64_t bitmap)
{
    return (uint32_t)bitmap;
}

/*@ requires \valid_read(s) && \valid(item) && \separated(s, item) && 9 <= s->cluster_bits <= 21;
    requires item->kind == QCOW2_L2_NOTHING && (item->word & QCOW2_OFLAG_COMPRESSED) != 0;
    assigns item->kind, item->offset, item->length, item->faults;
    ensures item->kind == QCOW2_L2_COMPRESSED || item->kind == QCOW2_L2_NOTHING;
    ensures item->kind == QCOW2_L2_COMPRESSED <==> is_compressed(s, item->word, bitmap); */
static void decode_compressed(const Qcow2L2Shape *s, uint64_t bitmap, Qcow2L2Item *item)
{
    item->offset = qcow2_l2_compressed_offset(s->cluster_bits, item->word);
    item->length = qcow2_l2_compressed_length(s->cluster_bits, item->word);
    if (item->word & QCOW2_OFLAG_COPIED) {
        item->faults |= QCOW2_L2_COMPRESSED_COPIED;
    }
    if (qcow2_l2_is_compressed(s, item->word, bitmap)) {
        item->kind = QCOW2_L2_COMPRESSED;
    } else {
        item->faults |= s->data_file ? QCOW2_L2_COMPRESSED_WITH_DATA_FILE : QCOW2_L2_COMPRESSED_WITH_SUBCLUSTERS;
    }
}

/*@ requires \valid_read(s) && \valid(item) && \separated(s, item) && s->cluster_size > 0;
    assigns item->kind, item->faults;
    ensures item->kind == QCOW2_L2_RUN || item->kind == QCOW2_L2_UNALIGNED;
    ensures item->kind == QCOW2_L2_RUN <==> item->offset % s->cluster_size == 0; */
static void decode_cluster(const Qcow2L2Shape *s, uint64_t bitmap, Qcow2L2Item *item)
{
    bool has_data = s->extended ? allocated_subclusters(bitmap) != 0 : !(item->word & QCOW2_OFLAG_ZERO);

    if (qcow2_l2_bitmap_contradicts(bitmap)) {
        item->faults |= QCOW2_L2_SUBCLUSTERS_CONTRADICT;
    }
    if (item->offset % s->cluster_size) {
        item->faults |= has_data ? QCOW2_L2_DATA_UNALIGNED : QCOW2_L2_PREALLOCATED_UNALIGNED;
        item->kind = QCOW2_L2_UNALIGNED;
    } else {
        item->kind = QCOW2_L2_RUN;
    }
}

/* docs/interop/check-behaviour.rst 3.4, in its order. */
Qcow2L2Item qcow2_l2_decode_entry(const Qcow2L2Shape *s, uint32_t index, uint64_t word, uint64_t bitmap)
{
    Qcow2L2Item item = {
        .kind = QCOW2_L2_NOTHING,
        .index = index,
        .n = 1,
        .length = (uint32_t)s->cluster_size,
        .offset = word & QCOW2_OFFSET_MASK,
        .word = word,
    };

    if (word & QCOW2_OFLAG_COMPRESSED) {
        decode_compressed(s, bitmap, &item);
        return item;
    }
    if (word & QCOW2_L2_RESERVED) {
        item.faults |= QCOW2_L2_RESERVED_BITS;
    }
    if (!s->extended && (word & QCOW2_OFLAG_ZERO) && !item.offset) {
        return item; /* plain zero */
    }
    if (item.offset || (s->data_file && (word & QCOW2_OFLAG_COPIED))) {
        decode_cluster(s, bitmap, &item);
    } else if (allocated_subclusters(bitmap)) {
        item.faults |= QCOW2_L2_UNALLOCATED_WITH_SUBCLUSTERS;
    }
    return item;
}
