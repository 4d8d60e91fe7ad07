/*
 * Refcount blocks and their table.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/blocks.h"

#include <assert.h>

#include "block/qcow2/format/format.h"

bool blocks_location(const CountedImage *b, size_t i, uint64_t *offset)
{
    uint64_t entry = b->in->image->refcount_table.entries[i];
    const Qcow2Counting *counting = &b->in->check->counting;

    *offset = entry & QCOW2_REFTABLE_OFFSET_MASK;
    return !(entry & QCOW2_REFTABLE_RESERVED) && *offset % b->in->header->cluster_size == 0 &&
           !qcow2_region_beyond_end(counting, *offset, b->in->header->cluster_size) &&
           *offset >> b->in->header->cluster_bits < refmap_clusters(counting->refs);
}

/* Sets *cluster to that of block @i; false where there is none, or none can be there. */
static bool block_cluster(const CountedImage *b, size_t i, uint64_t *cluster)
{
    uint64_t offset;

    if (i >= b->in->image->refcount_table.n || !blocks_location(b, i, &offset) || !offset) {
        return false;
    }
    *cluster = offset >> b->in->header->cluster_bits;
    return true;
}

/* True where @cluster has more than one reference, or reader, be it that its count cannot say so. */
static bool is_shared(const CountedImage *b, uint64_t cluster)
{
    return refmap_get(b->targets->counts, cluster) > 1 || qcow2_count_incomplete(&b->in->check->counting, cluster) ||
           layout_read_by_guest(b->layout, cluster);
}

bool blocks_entry_harmful(const CountedImage *b, size_t i)
{
    uint64_t offset;

    if (!b->in->image->refcount_table.entries[i] || target_counts_block_needed(b->targets, i)) {
        return false;
    }
    return !blocks_location(b, i, &offset) || (offset && is_shared(b, offset >> b->in->header->cluster_bits));
}

bool blocks_any_shared(const CountedImage *b)
{
    for (size_t i = 0; i < b->in->image->refcount_table.n; i++) {
        uint64_t cluster;

        if (block_cluster(b, i, &cluster) && is_shared(b, cluster)) {
            return true;
        }
    }
    return false;
}

bool blocks_writable(const CountedImage *b, uint64_t i)
{
    uint64_t cluster, count;

    return block_cluster(b, i, &cluster) && !is_shared(b, cluster) &&
           qcow2_stored_count(b->targets->stored, i << qcow2_refblock_bits(b->in->header), &count);
}

bool blocks_table_sound(const CountedImage *b)
{
    const Qcow2HeaderFields *h = b->in->header;
    uint64_t first = h->refcount_table_offset >> h->cluster_bits;

    if (qcow2_region_beyond_end(&b->in->check->counting, h->refcount_table_offset,
                                (uint64_t)h->refcount_table_clusters << h->cluster_bits)) {
        return false;
    }
    for (uint64_t i = first; i < first + h->refcount_table_clusters; i++) {
        if (refmap_get(b->layout->metadata.refs, i) != 1) {
            return false;
        }
    }
    return h->refcount_table_clusters > 0;
}

bool blocks_must_rebuild(const CountedImage *b)
{
    if (!blocks_table_sound(b)) {
        return true;
    }
    for (uint64_t i = 0; i < target_counts_blocks_end(b->targets); i++) {
        uint64_t cluster;

        if (target_counts_block_needed(b->targets, i) &&
            !(blocks_writable(b, i) && block_cluster(b, i, &cluster) && refmap_get(b->targets->counts, cluster) == 1)) {
            return true;
        }
    }
    return false;
}

void blocks_set_counts(const CountedImage *b, uint8_t *bytes, uint64_t first, uint64_t n, uint64_t count)
{
    unsigned bits = qcow2_refblock_bits(b->in->header);
    uint64_t in_block = first & ((UINT64_C(1) << bits) - 1);

    assert(in_block + n <= UINT64_C(1) << bits);
    qcow2_pack_refcounts(bytes, b->in->header->refcount_order, in_block, n, count);
}
