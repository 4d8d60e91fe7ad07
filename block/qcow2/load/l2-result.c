/*
 * What is in one L2 table.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/load/l2-result.h"

#include "block/qcow2/format/format.h"

Qcow2L2Result *qcow2_l2_result_new(const Qcow2HeaderFields *h)
{
    Qcow2L2Result *r = g_new0(Qcow2L2Result, 1);

    r->runs = g_try_new(Qcow2Run, UINT64_C(1) << h->l2_bits);
    if (!r->runs) {
        g_free(r);
        return NULL;
    }
    r->extents = g_array_new(FALSE, FALSE, sizeof(Qcow2Extent));
    r->faults = g_array_new(FALSE, FALSE, sizeof(Qcow2L2Fault));
    return r;
}

void qcow2_l2_result_free(Qcow2L2Result *r)
{
    if (r) {
        g_free(r->runs);
        g_array_free(r->extents, TRUE);
        g_array_free(r->faults, TRUE);
        g_free(r);
    }
}

Qcow2Extent qcow2_l2_compressed_extent(const Qcow2HeaderFields *h, uint64_t entry, uint32_t index)
{
    return (Qcow2Extent){
        .offset = qcow2_l2_compressed_offset(h->cluster_bits, entry),
        .length = qcow2_l2_compressed_length(h->cluster_bits, entry),
        .index = index,
        .compressed = true,
    };
}

/* The kind of each bit of an item's faults. */
static const ImageCheckFindingKind fault_kinds[] = {
    QCOW2_FINDING_COMPRESSED_COPIED,
    QCOW2_FINDING_COMPRESSED_WITH_DATA_FILE,
    QCOW2_FINDING_COMPRESSED_WITH_SUBCLUSTERS,
    QCOW2_FINDING_L2_RESERVED_BITS,
    QCOW2_FINDING_UNALLOCATED_WITH_SUBCLUSTERS,
    QCOW2_FINDING_SUBCLUSTERS_CONTRADICT,
    QCOW2_FINDING_DATA_UNALIGNED,
    QCOW2_FINDING_PREALLOCATED_UNALIGNED,
};
static_assert(G_N_ELEMENTS(fault_kinds) == QCOW2_L2_FAULTS, "a kind for each bit");

static Qcow2L2Fault fault_of(const Qcow2L2Item *item, ImageCheckFindingKind kind)
{
    Qcow2L2Fault fault = {.index = item->index, .kind = kind};

    switch (kind) {
    case QCOW2_FINDING_L2_RESERVED_BITS:
        fault.values[0] = item->word;
        break;
    case QCOW2_FINDING_COMPRESSED_WITH_DATA_FILE:
    case QCOW2_FINDING_COMPRESSED_WITH_SUBCLUSTERS:
        fault.values[0] = item->index;
        fault.values[1] = item->word & ~QCOW2_OFLAG_COPIED;
        break;
    case QCOW2_FINDING_UNALLOCATED_WITH_SUBCLUSTERS:
        break;
    default:
        fault.values[0] = item->offset;
        fault.values[1] = item->length;
    }
    return fault;
}

static void add_faults(Qcow2L2Result *result, const Qcow2L2Item *item)
{
    for (unsigned i = 0; i < QCOW2_L2_FAULTS; i++) {
        if (item->faults >> i & 1) {
            Qcow2L2Fault fault = fault_of(item, fault_kinds[i]);

            g_array_append_val(result->faults, fault);
        }
    }
}

static void add_extent(Qcow2L2Result *result, const Qcow2L2Item *item)
{
    Qcow2Extent extent = {
        .offset = item->offset,
        .length = item->length,
        .index = item->index,
        .compressed = item->kind == QCOW2_L2_COMPRESSED,
    };

    g_array_append_val(result->extents, extent);
}

static void add_run(Qcow2L2Result *result, const Qcow2L2Item *item)
{
    result->runs[result->n_runs++] = (Qcow2Run){
        .offset = item->offset,
        .index = item->index,
        .n = item->n,
        .copied = item->word & QCOW2_OFLAG_COPIED,
    };
}

/* Statistics of clusters that are not compressed. *next is where the last ones ended; 0 = none yet. */
static void account_clusters(Qcow2L2Result *result, const Qcow2L2Item *item, uint64_t *next)
{
    result->allocated += item->n;
    result->fragmented += *next && item->offset != *next;
    *next = item->offset + (uint64_t)item->n * item->length;
}

static inline void add_item(Qcow2L2Result *result, const Qcow2L2Item *item, uint64_t *next)
{
    if (item->kind == QCOW2_L2_RUN) {
        add_run(result, item);
        account_clusters(result, item, next);
    } else if (item->kind == QCOW2_L2_COMPRESSED) {
        add_extent(result, item);
        result->allocated++;
        result->compressed++;
        result->fragmented++;
    } else if (item->kind == QCOW2_L2_UNALIGNED) {
        add_extent(result, item);
        account_clusters(result, item, next);
    }
    if (item->faults) {
        add_faults(result, item);
    }
}

void qcow2_l2_decode(const Qcow2HeaderFields *h, const uint8_t *table, Qcow2L2Result *result)
{
    Qcow2L2Shape shape = qcow2_l2_shape(h);
    uint64_t next = 0;

    result->n_runs = 0;
    g_array_set_size(result->extents, 0);
    g_array_set_size(result->faults, 0);
    result->allocated = result->compressed = result->fragmented = 0;

    for (uint32_t i = 0; i < shape.n;) {
        Qcow2L2Item item = qcow2_l2_item_at(&shape, table, i);

        add_item(result, &item, &next);
        i += item.n;
    }
}

void qcow2_l2_visit_ranges(const Qcow2HeaderFields *h, const Qcow2L2Result *result, Qcow2VisitRange *visit,
                           void *opaque)
{
    for (uint32_t i = 0; i < result->n_runs; i++) {
        visit(opaque, result->runs[i].offset, (uint64_t)result->runs[i].n << h->cluster_bits);
    }
    for (guint i = 0; i < result->extents->len; i++) {
        const Qcow2Extent *e = &g_array_index(result->extents, Qcow2Extent, i);

        visit(opaque, e->offset, e->length);
    }
}
