/*
 * Where the structures of an image are that is to be repaired.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/repair.h"

#include "block/io/prefetch.h"
#include "block/qcow2/format/format.h"
#include "util/number.h"
#include "util/search.h"

void qcow2_repair_claim(Qcow2Repair *r, uint64_t offset, uint64_t size)
{
    uint64_t end;
    Qcow2ClusterRange range = {.first = offset >> r->header->cluster_bits};

    if (size == 0 || size > INT64_MAX || !add_u64(offset, size - 1, &end) || range.first >= r->file_clusters) {
        return; /* nothing of it lies in the file */
    }
    range.n = (end >> r->header->cluster_bits) - range.first + 1;
    g_array_append_val(r->structures, range);
}

/* A structure that reaches out of the file is not counted, but may be read. */
static void add_structure(Qcow2Repair *r, uint64_t offset, uint64_t size)
{
    guint n = r->structures->len;

    qcow2_repair_claim(r, offset, size);
    if (r->structures->len > n && qcow2_region_beyond_end(&r->check.counting, offset, size)) {
        g_array_append_vals(r->uncounted, &g_array_index(r->structures, Qcow2ClusterRange, n), 1);
    }
}

static void add_trees(Qcow2Repair *r)
{
    const GArray *snapshots = r->check.snapshots.items;

    add_structure(r, r->header->l1_table_offset, UINT64_C(8) * r->header->l1_size);
    for (guint i = 0; i < snapshots->len; i++) {
        const Qcow2Snapshot *s = &g_array_index(snapshots, Qcow2Snapshot, i);

        if (s->l1_size <= QCOW2_MAX_L1_ENTRIES) {
            add_structure(r, s->l1_table_offset, UINT64_C(8) * s->l1_size);
        }
    }
    /* where its length is not known, it may be just as well behind its beginning */
    add_structure(r, r->header->snapshots_offset, MAX(r->check.snapshots.table_length, 1));
}

static void add_refcount_structures(Qcow2Repair *r)
{
    const Qcow2RefcountEntries *table = &r->image->refcount_table;

    add_structure(r, r->header->refcount_table_offset,
                  (uint64_t)r->header->refcount_table_clusters << r->header->cluster_bits);
    for (size_t i = 0; i < table->n; i++) {
        if (table->entries[i]) {
            add_structure(r, table->entries[i] & QCOW2_REFTABLE_OFFSET_MASK, r->header->cluster_size);
        }
    }
}

static void add_bitmaps(Qcow2Repair *r)
{
    const Qcow2Extensions *e = &r->image->extensions;

    if (e->has_crypt_header) {
        add_structure(r, e->crypt_header_offset, e->crypt_header_length);
    }
    if (!e->has_bitmaps) {
        return;
    }
    add_structure(r, e->bitmap_directory_offset, e->bitmap_directory_size);
    for (guint i = 0; i < r->check.bitmaps.items->len; i++) {
        const Qcow2Bitmap *b = &g_array_index(r->check.bitmaps.items, Qcow2Bitmap, i);

        add_structure(r, b->table_offset, UINT64_C(8) * b->table_size);
    }
}

static bool count_l2_tables(Qcow2Repair *r)
{
    size_t n;
    const Qcow2TableRef *tables = qcow2_walk_tables(r->check.walk, &n);

    for (size_t i = 0; i < n; i++) {
        /* at an odd place there is none, whatever an L1 entry says */
        if (tables[i].offset % r->header->cluster_size == 0 &&
            !qcow2_count_region(&r->metadata, tables[i].offset, r->header->cluster_size, tables[i].weight)) {
            return false;
        }
    }
    return true;
}

static bool count_refcount_blocks(Qcow2Repair *r)
{
    const Qcow2RefcountEntries *table = &r->image->refcount_table;

    for (size_t i = 0; i < table->n; i++) {
        uint64_t offset = table->entries[i];

        if (offset && offset % r->header->cluster_size == 0 &&
            !qcow2_count_region(&r->metadata, offset, r->header->cluster_size, 1)) {
            return false;
        }
    }
    return true;
}

bool qcow2_repair_find_structures(Qcow2Repair *r, GError **errp)
{
    r->structures = g_array_new(FALSE, FALSE, sizeof(Qcow2ClusterRange));
    r->uncounted = g_array_new(FALSE, FALSE, sizeof(Qcow2ClusterRange));
    add_structure(r, 0, r->header->cluster_size);
    add_trees(r);
    add_refcount_structures(r);
    add_bitmaps(r);
    qcow2_cluster_ranges_sort(r->structures);
    qcow2_cluster_ranges_sort(r->uncounted);

    qcow2_counting_init(&r->metadata, r->header, r->image->source->length);
    return qcow2_regions_count(&r->check.regions, &r->metadata, errp) &&
           ((count_l2_tables(r) && count_refcount_blocks(r)) || qcow2_repair_no_memory(errp));
}

bool qcow2_repair_in_structure(const Qcow2Repair *r, uint64_t cluster, uint64_t *end)
{
    const Qcow2ClusterRange *range = qcow2_cluster_ranges_with(r->structures, cluster);

    if (range) {
        *end = range->first + range->n;
    }
    return range;
}

/* The index of the first L2 table at or behind @offset, aligned or not. */
static size_t find_l2_table(const Qcow2TableRef *tables, size_t n, uint64_t offset)
{
    return FIRST_NOT_BELOW(tables, n, Qcow2TableRef, offset, offset);
}

uint64_t qcow2_repair_l2_tables_in(const Qcow2Repair *r, uint64_t cluster)
{
    uint64_t offset = cluster << r->header->cluster_bits;
    size_t n;
    const Qcow2TableRef *tables = qcow2_walk_tables(r->check.walk, &n);
    size_t i = find_l2_table(tables, n, offset);

    return i < n && tables[i].offset == offset ? tables[i].weight : 0;
}

bool qcow2_repair_in_use(const Qcow2Repair *r, uint64_t cluster)
{
    return refmap_get(r->metadata.refs, cluster) && !qcow2_repair_l2_tables_in(r, cluster);
}

bool qcow2_repair_in_odd_table(const Qcow2Repair *r, uint64_t cluster)
{
    uint64_t size = r->header->cluster_size, offset = cluster * size;
    size_t n;
    const Qcow2TableRef *tables = qcow2_walk_tables(r->check.walk, &n);

    for (size_t i = find_l2_table(tables, n, offset - MIN(offset, size - 1)); i < n && tables[i].offset < offset + size;
         i++) {
        if (tables[i].offset % size) {
            return true;
        }
    }
    return false;
}

uint64_t qcow2_repair_l1_tables_in(const Qcow2Repair *r, uint64_t cluster)
{
    const GArray *trees = r->check.regions.trees;
    uint64_t start = cluster << r->header->cluster_bits, n = 0;

    for (guint i = 0; i < trees->len; i++) {
        const Qcow2Tree *tree = &g_array_index(trees, Qcow2Tree, i);

        n += tree->offset < start + r->header->cluster_size && tree->offset + tree->entries * 8 > start;
    }
    return n;
}

bool qcow2_repair_sole_table(const Qcow2Repair *r, uint64_t offset, uint64_t weight)
{
    uint64_t cluster = offset >> r->header->cluster_bits;

    return offset % r->header->cluster_size == 0 && offset < r->metadata.file_end &&
           refmap_get(r->metadata.refs, cluster) == weight && !qcow2_cluster_ranges_with(r->uncounted, cluster);
}

bool qcow2_repair_table_writable(const Qcow2Repair *r, uint64_t offset, uint64_t weight)
{
    return qcow2_repair_sole_table(r, offset, weight) &&
           !qcow2_repair_in_odd_table(r, offset >> r->header->cluster_bits);
}

bool qcow2_repair_contested(const Qcow2Repair *r, uint64_t cluster, uint64_t metadata)
{
    return refmap_get(r->wanted, cluster) > metadata || qcow2_count_incomplete(&r->check.counting, cluster);
}

/* True where more is in @cluster than one structure. */
static bool is_shared(const Qcow2Repair *r, uint64_t cluster, uint64_t metadata)
{
    return qcow2_repair_contested(r, cluster, metadata) ||
           (metadata > 1 && qcow2_repair_l2_tables_in(r, cluster) != metadata);
}

bool qcow2_repair_any_metadata(const Qcow2Repair *r, Qcow2MetadataTest *test)
{
    uint64_t index = 0;

    for (const Counters *piece; (piece = refmap_next_piece(r->metadata.refs, &index)); index++) {
        for (size_t i = 0; i < COUNTERS_PER_PIECE;) {
            uint64_t metadata = counters_get(piece, i);

            if (!metadata) {
                i += counters_stretch(piece, i, COUNTERS_PER_PIECE);
            } else if (test(r, (index << COUNTERS_PER_PIECE_BITS) + i++, metadata)) {
                return true;
            }
        }
    }
    return false;
}

bool qcow2_repair_structures_overlap(const Qcow2Repair *r)
{
    return qcow2_repair_any_metadata(r, is_shared);
}

/* ---- what is said to lie behind the end of the file ---- */

/* Notes a reference to something. */
static void bound_append(const Qcow2Repair *r, uint64_t offset, uint64_t size, uint64_t *end)
{
    /* one more cluster away: a region that is no more than that beyond the end counts as inside */
    if (qcow2_region_beyond_end(&r->check.counting, offset, size)) {
        *end = MIN(*end, MAX(offset >> r->header->cluster_bits, 1) - 1);
    }
}

typedef struct BoundSearch {
    const Qcow2Repair *r;
    uint64_t end;
} BoundSearch;

/* Compressed data that is not counted, and so takes no place, but is read. */
static void bound_by_uncounted(BoundSearch *s, uint32_t index, uint64_t entry)
{
    Qcow2Extent e = qcow2_l2_compressed_extent(s->r->header, entry, index);
    uint64_t bits = s->r->header->cluster_bits;

    if ((e.offset + e.length - 1) >> bits >= s->r->file_clusters) {
        s->end = MIN(s->end, MAX(e.offset >> bits, s->r->file_clusters));
    }
}

static bool visit_bounds(void *state, const Qcow2TableRef *table, const uint8_t *bytes, const Qcow2L2Result *contents)
{
    BoundSearch *s = state;
    uint64_t size = s->r->header->cluster_size;

    for (uint32_t i = 0; i < contents->n_runs; i++) {
        const Qcow2Run *run = &contents->runs[i];

        /* the first cluster of the run that is beyond the end bounds it most */
        if (qcow2_region_beyond_end(&s->r->check.counting, run->offset, run->n * size)) {
            uint64_t start = MAX(run->offset, MIN(s->r->file_clusters * size, run->offset + (run->n - 1) * size));

            bound_append(s->r, start, size, &s->end);
        }
    }
    for (guint i = 0; i < contents->extents->len; i++) {
        const Qcow2Extent *e = &g_array_index(contents->extents, Qcow2Extent, i);

        bound_append(s->r, e->offset, e->length, &s->end);
    }
    for (guint i = 0; i < contents->faults->len; i++) {
        const Qcow2L2Fault *fault = &g_array_index(contents->faults, Qcow2L2Fault, i);

        if (fault->kind == QCOW2_FINDING_COMPRESSED_WITH_SUBCLUSTERS) {
            bound_by_uncounted(s, fault->index, load_be64(bytes + fault->index * qcow2_l2_entry_size(s->r->header)));
        }
    }
    return true;
}

static void bound_by_slots(Qcow2Repair *r, const Qcow2Tables *tables)
{
    size_t n;
    const Qcow2TableSpan *spans = qcow2_tables_spans(tables, &n);

    for (size_t k = 0; k < n; k++) {
        for (uint64_t i = 0; spans[k].slots && i < spans[k].n; i++) {
            bound_append(r, spans[k].slots[i] & QCOW2_OFFSET_MASK, r->header->cluster_size, &r->append_end);
        }
    }
}

/* A table that is cut off must not go on in what is appended, or behind that: as zeros, it would seem to be whole. */
static void bound_by_region(Qcow2Repair *r, uint64_t offset, uint64_t size)
{
    uint64_t end;

    if (size && (!add_u64(offset, size, &end) || end > r->image->source->length)) {
        r->append_end = MIN(r->append_end, MAX(offset >> r->header->cluster_bits, 1) - 1);
    }
}

/* But for refcount table and blocks: entries that lead out of the file are not used any more. */
static void bound_by_regions(Qcow2Repair *r)
{
    const Qcow2HeaderFields *h = r->header;
    const Qcow2Extensions *e = &r->image->extensions;
    const GArray *snapshots = r->check.snapshots.items;

    bound_by_region(r, h->l1_table_offset, UINT64_C(8) * h->l1_size);
    bound_by_region(r, h->snapshots_offset, r->check.snapshots.table_length);
    bound_by_region(r, e->crypt_header_offset, e->crypt_header_length);
    bound_by_region(r, e->bitmap_directory_offset, e->bitmap_directory_size);
    for (guint i = 0; i < snapshots->len; i++) {
        const Qcow2Snapshot *s = &g_array_index(snapshots, Qcow2Snapshot, i);

        bound_by_region(r, s->l1_table_offset, UINT64_C(8) * s->l1_size);
    }
    for (guint i = 0; e->has_bitmaps && i < r->check.bitmaps.items->len; i++) {
        const Qcow2Bitmap *b = &g_array_index(r->check.bitmaps.items, Qcow2Bitmap, i);

        bound_by_region(r, b->table_offset, UINT64_C(8) * b->table_size);
    }
}

bool qcow2_repair_find_append_end(Qcow2Repair *r, GError **errp)
{
    const uint64_t *seen = r->check.report.count_by_kind;
    BoundSearch searches[BLOCK_MAX_WORKERS];
    void *states[BLOCK_MAX_WORKERS];
    Qcow2TableVisitor visitor = {.visit = visit_bounds, .states = states};

    r->append_end = UINT64_MAX;
    bound_by_regions(r);
    if (!seen[QCOW2_FINDING_REGION_BEYOND_END] && !seen[QCOW2_FINDING_COMPRESSED_WITH_SUBCLUSTERS]) {
        return true;
    }
    bound_by_slots(r, r->check.regions.l1_tables);
    bound_by_slots(r, r->check.regions.bitmap_tables);
    if (qcow2_has_data_file(r->header)) {
        return true;
    }
    for (unsigned i = 0; i < BLOCK_MAX_WORKERS; i++) {
        searches[i] = (BoundSearch){.r = r, .end = r->append_end};
        states[i] = &searches[i];
    }
    if (!qcow2_walk_visit(r->check.walk, &visitor, errp)) {
        return false;
    }
    for (unsigned i = 0; i < BLOCK_MAX_WORKERS; i++) {
        r->append_end = MIN(r->append_end, searches[i].end);
    }
    return true;
}
