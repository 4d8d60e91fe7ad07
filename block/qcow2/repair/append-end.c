/*
 * What is said to lie behind the end of the file.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/allocate.h"

#include "block/io/prefetch.h"
#include "block/qcow2/format/format.h"
#include "util/number.h"

/* Where a reference to something bounds what can be appended. */
typedef struct Bound {
    const RepairInput *in;
    const MetadataLayout *layout;
    uint64_t end; /* cluster */
} Bound;

/* Notes a reference to something. */
static void bound_by_reference(Bound *b, uint64_t offset, uint64_t size)
{
    /* one more cluster away: a region that is no more than that beyond the end counts as inside */
    if (qcow2_region_beyond_end(&b->in->check->counting, offset, size)) {
        b->end = MIN(b->end, MAX(offset >> b->in->header->cluster_bits, 1) - 1);
    }
}

/* Compressed data that is not counted, and so takes no place, but is read. */
static void bound_by_uncounted(Bound *b, uint32_t index, uint64_t entry)
{
    Qcow2Extent e = qcow2_l2_compressed_extent(b->in->header, entry, index);
    uint64_t bits = b->in->header->cluster_bits;

    if ((e.offset + e.length - 1) >> bits >= b->layout->file_clusters) {
        b->end = MIN(b->end, MAX(e.offset >> bits, b->layout->file_clusters));
    }
}

static bool visit_bounds(void *state, const Qcow2TableRef *table, const uint8_t *bytes, const Qcow2L2Result *contents)
{
    Bound *b = state;
    uint64_t size = b->in->header->cluster_size;

    for (uint32_t i = 0; i < contents->n_runs; i++) {
        const Qcow2Run *run = &contents->runs[i];

        /* the first cluster of the run that is beyond the end bounds it most */
        if (qcow2_region_beyond_end(&b->in->check->counting, run->offset, run->n * size)) {
            uint64_t start = MAX(run->offset, MIN(b->layout->file_clusters * size, run->offset + (run->n - 1) * size));

            bound_by_reference(b, start, size);
        }
    }
    for (guint i = 0; i < contents->extents->len; i++) {
        const Qcow2Extent *e = &g_array_index(contents->extents, Qcow2Extent, i);

        bound_by_reference(b, e->offset, e->length);
    }
    for (guint i = 0; i < contents->faults->len; i++) {
        const Qcow2L2Fault *fault = &g_array_index(contents->faults, Qcow2L2Fault, i);

        if (fault->kind == QCOW2_FINDING_COMPRESSED_WITH_SUBCLUSTERS) {
            bound_by_uncounted(b, fault->index, load_be64(bytes + fault->index * qcow2_l2_entry_size(b->in->header)));
        }
    }
    return true;
}

static void bound_by_slots(Bound *b, const Qcow2Tables *tables)
{
    size_t n;
    const Qcow2TableSpan *spans = qcow2_tables_spans(tables, &n);

    for (size_t k = 0; k < n; k++) {
        for (uint64_t i = 0; spans[k].slots && i < spans[k].n; i++) {
            bound_by_reference(b, spans[k].slots[i] & QCOW2_OFFSET_MASK, b->in->header->cluster_size);
        }
    }
}

/* A table that is cut off must not go on in what is appended, or behind that: as zeros, it would seem to be whole. */
static void bound_by_region(Bound *b, uint64_t offset, uint64_t size)
{
    uint64_t end;

    if (size && (!add_u64(offset, size, &end) || end > b->in->image->source->length)) {
        b->end = MIN(b->end, MAX(offset >> b->in->header->cluster_bits, 1) - 1);
    }
}

/* But for refcount table and blocks: entries that lead out of the file are not used any more. */
static void bound_by_regions(Bound *b)
{
    const Qcow2HeaderFields *h = b->in->header;
    const Qcow2Extensions *e = &b->in->image->extensions;
    const GArray *snapshots = b->in->check->snapshots.items;

    bound_by_region(b, h->l1_table_offset, UINT64_C(8) * h->l1_size);
    bound_by_region(b, h->snapshots_offset, b->in->check->snapshots.table_length);
    bound_by_region(b, e->crypt_header_offset, e->crypt_header_length);
    bound_by_region(b, e->bitmap_directory_offset, e->bitmap_directory_size);
    for (guint i = 0; i < snapshots->len; i++) {
        const Qcow2Snapshot *s = &g_array_index(snapshots, Qcow2Snapshot, i);

        bound_by_region(b, s->l1_table_offset, UINT64_C(8) * s->l1_size);
    }
    for (guint i = 0; e->has_bitmaps && i < b->in->check->bitmaps.items->len; i++) {
        const Qcow2Bitmap *bitmap = &g_array_index(b->in->check->bitmaps.items, Qcow2Bitmap, i);

        bound_by_region(b, bitmap->table_offset, UINT64_C(8) * bitmap->table_size);
    }
}

bool append_end_find(const RepairInput *in, const MetadataLayout *layout, uint64_t *end, GError **errp)
{
    Bound bound = {.in = in, .layout = layout, .end = UINT64_MAX};
    Bound bounds[BLOCK_MAX_WORKERS];
    void *states[BLOCK_MAX_WORKERS];
    Qcow2TableVisitor visitor = {.visit = visit_bounds, .states = states};

    bound_by_regions(&bound);
    if (repair_found(in, QCOW2_FINDING_REGION_BEYOND_END) ||
        repair_found(in, QCOW2_FINDING_COMPRESSED_WITH_SUBCLUSTERS)) {
        bound_by_slots(&bound, in->check->regions.l1_tables);
        bound_by_slots(&bound, in->check->regions.bitmap_tables);
        for (unsigned i = 0; i < BLOCK_MAX_WORKERS; i++) {
            bounds[i] = bound;
            states[i] = &bounds[i];
        }
        if (!qcow2_has_data_file(in->header) && !qcow2_walk_visit(in->check->walk, &visitor, errp)) {
            return false;
        }
        for (unsigned i = 0; i < BLOCK_MAX_WORKERS; i++) {
            bound.end = MIN(bound.end, bounds[i].end);
        }
    }
    *end = MAX(bound.end, 1); /* there is never room before cluster 1 */
    return true;
}
