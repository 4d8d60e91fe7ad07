/*
 * Where the structures of an image are.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/layout.h"

#include "block/qcow2/format/format.h"
#include "util/number.h"
#include "util/search.h"

void layout_add_structure(MetadataLayout *layout, uint64_t offset, uint64_t size)
{
    uint64_t end;
    Qcow2ClusterRange range = {.first = offset >> layout->header->cluster_bits};

    if (size == 0 || size > INT64_MAX || !add_u64(offset, size - 1, &end) || range.first >= layout->file_clusters) {
        return; /* nothing of it lies in the file */
    }
    range.n = (end >> layout->header->cluster_bits) - range.first + 1;
    g_array_append_val(layout->structures, range);
}

/* A structure that reaches out of the file is not counted, but may be read. */
static void add_structure(MetadataLayout *layout, uint64_t offset, uint64_t size)
{
    guint n = layout->structures->len;

    layout_add_structure(layout, offset, size);
    if (layout->structures->len > n && qcow2_region_beyond_end(&layout->check->counting, offset, size)) {
        g_array_append_vals(layout->uncounted, &g_array_index(layout->structures, Qcow2ClusterRange, n), 1);
    }
}

/* Sets aside those of the uncounted structures that are no L1 tables, which are the first @l1. */
static void set_others_aside(MetadataLayout *layout, guint l1)
{
    if (layout->uncounted->len > l1) {
        g_array_append_vals(layout->uncounted_others, &g_array_index(layout->uncounted, Qcow2ClusterRange, l1),
                            layout->uncounted->len - l1);
    }
}

/*
 * Adds a structure that would go on in what is appended to the file, if it is cut off, or behind that: as zeros, it
 * would seem to be whole.
 */
static void add_growing(MetadataLayout *layout, uint64_t offset, uint64_t size)
{
    uint64_t end;

    add_structure(layout, offset, size);
    if (size && (!add_u64(offset, size, &end) || end > layout->check->image->source->length)) {
        layout->cut_off = MIN(layout->cut_off, offset);
    }
}

static void add_snapshot_table(MetadataLayout *layout)
{
    add_growing(layout, layout->header->snapshots_offset, layout->check->snapshots.table_length);
    /* where its length is not known, it may be just as well behind its beginning */
    add_structure(layout, layout->header->snapshots_offset, 1);
}

static void add_l1_tables(MetadataLayout *layout)
{
    const Qcow2Snapshots *snapshots = &layout->check->snapshots;

    add_growing(layout, layout->header->l1_table_offset, UINT64_C(8) * layout->header->l1_size);
    for (guint i = 0; i < snapshots->items->len; i++) {
        const Qcow2Snapshot *s = &g_array_index(snapshots->items, Qcow2Snapshot, i);

        if (s->l1_size <= QCOW2_MAX_L1_ENTRIES) {
            add_growing(layout, s->l1_table_offset, UINT64_C(8) * s->l1_size);
        }
    }
}

static void add_extensions(MetadataLayout *layout)
{
    const Qcow2Extensions *e = &layout->check->image->extensions;
    const GArray *bitmaps = layout->check->bitmaps.items;

    if (e->has_crypt_header) {
        add_growing(layout, e->crypt_header_offset, e->crypt_header_length);
    }
    if (e->has_bitmaps) {
        add_growing(layout, e->bitmap_directory_offset, e->bitmap_directory_size);
    }
    for (guint i = 0; e->has_bitmaps && i < bitmaps->len; i++) {
        const Qcow2Bitmap *b = &g_array_index(bitmaps, Qcow2Bitmap, i);

        add_growing(layout, b->table_offset, UINT64_C(8) * b->table_size);
    }
}

/* Entries for refcount blocks that lead out of the file are not used any more, nor is such a table. */
static void add_refcounts(MetadataLayout *layout)
{
    const Qcow2HeaderFields *h = layout->header;
    const Qcow2RefcountEntries *blocks = &layout->check->image->refcount_table;

    add_structure(layout, h->refcount_table_offset, (uint64_t)h->refcount_table_clusters << h->cluster_bits);
    for (size_t i = 0; i < blocks->n; i++) {
        if (blocks->entries[i]) {
            add_structure(layout, blocks->entries[i] & QCOW2_REFTABLE_OFFSET_MASK, h->cluster_size);
        }
    }
}

uint64_t layout_append_end(const MetadataLayout *layout)
{
    uint64_t referred = MIN(layout->check->counting.beyond, layout->cut_off) >> layout->header->cluster_bits;

    return MAX(MIN(MAX(referred, 1) - 1, layout->overlap.uncounted_beyond), 1);
}

static bool count_l2_tables(MetadataLayout *layout)
{
    size_t n;
    const Qcow2TableRef *tables = qcow2_walk_tables(layout->check->walk, &n);

    for (size_t i = 0; i < n; i++) {
        /* an unaligned one is none, whatever an L1 entry says */
        if (tables[i].offset % layout->header->cluster_size == 0 &&
            !qcow2_count_region(&layout->metadata, tables[i].offset, layout->header->cluster_size, tables[i].weight)) {
            return false;
        }
    }
    return true;
}

static bool count_refcount_blocks(MetadataLayout *layout)
{
    const Qcow2RefcountEntries *table = &layout->check->image->refcount_table;

    for (size_t i = 0; i < table->n; i++) {
        uint64_t offset = table->entries[i];

        if (offset && offset % layout->header->cluster_size == 0 &&
            !qcow2_count_region(&layout->metadata, offset, layout->header->cluster_size, 1)) {
            return false;
        }
    }
    return true;
}

bool layout_init(MetadataLayout *layout, const Qcow2Check *check, GError **errp)
{
    guint l1;

    *layout = (MetadataLayout){
        .check = check,
        .header = &check->image->header,
        .file_clusters = refmap_clusters(check->counting.refs),
        .structures = g_array_new(FALSE, FALSE, sizeof(Qcow2ClusterRange)),
        .uncounted = g_array_new(FALSE, FALSE, sizeof(Qcow2ClusterRange)),
        .uncounted_others = g_array_new(FALSE, FALSE, sizeof(Qcow2ClusterRange)),
        .cut_off = UINT64_MAX,
        .overlap = {.uncounted_beyond = UINT64_MAX},
    };
    add_l1_tables(layout);
    l1 = layout->uncounted->len;
    add_structure(layout, 0, layout->header->cluster_size);
    add_snapshot_table(layout);
    add_extensions(layout);
    add_refcounts(layout);
    set_others_aside(layout, l1);
    qcow2_cluster_ranges_sort(layout->structures);
    qcow2_cluster_ranges_sort(layout->uncounted);
    qcow2_cluster_ranges_sort(layout->uncounted_others);

    qcow2_counting_init(&layout->metadata, layout->header, check->image->source->length);
    return qcow2_regions_count((Qcow2Regions *)&check->regions, &layout->metadata, errp) &&
           ((count_l2_tables(layout) && count_refcount_blocks(layout)) || repair_no_memory(errp));
}

void layout_clear(MetadataLayout *layout)
{
    qcow2_counting_clear(&layout->metadata);
    g_clear_pointer(&layout->structures, g_array_unref);
    g_clear_pointer(&layout->uncounted, g_array_unref);
    g_clear_pointer(&layout->uncounted_others, g_array_unref);
    g_clear_pointer(&layout->overlap.entries, g_array_unref);
    g_clear_pointer(&layout->overlap.reads, refmap_free);
}

bool layout_in_structure(const MetadataLayout *layout, uint64_t cluster, uint64_t *end)
{
    const Qcow2ClusterRange *range = qcow2_cluster_ranges_with(layout->structures, cluster);

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

uint64_t layout_l2_tables_in(const MetadataLayout *layout, uint64_t cluster)
{
    uint64_t offset = cluster << layout->header->cluster_bits;
    size_t n;
    const Qcow2TableRef *tables = qcow2_walk_tables(layout->check->walk, &n);
    size_t i = find_l2_table(tables, n, offset);

    return i < n && tables[i].offset == offset ? tables[i].weight : 0;
}

bool layout_in_use(const MetadataLayout *layout, uint64_t cluster)
{
    return refmap_get(layout->metadata.refs, cluster) && !layout_l2_tables_in(layout, cluster);
}

bool layout_in_unaligned_table(const MetadataLayout *layout, uint64_t cluster)
{
    uint64_t size = layout->header->cluster_size, offset = cluster * size;
    size_t n;
    const Qcow2TableRef *tables = qcow2_walk_tables(layout->check->walk, &n);

    for (size_t i = find_l2_table(tables, n, offset - MIN(offset, size - 1)); i < n && tables[i].offset < offset + size;
         i++) {
        if (tables[i].offset % size) {
            return true;
        }
    }
    return false;
}

bool layout_only_tables_in(const MetadataLayout *layout, uint64_t cluster, uint64_t l2, uint64_t *l1)
{
    const GArray *trees = layout->check->regions.trees;
    uint64_t start = cluster << layout->header->cluster_bits, users = refmap_get(layout->metadata.refs, cluster);
    uint64_t counted = l2;

    *l1 = 0;
    if (users == 0 && layout_overlapped(layout, cluster, 0)) {
        return false; /* by guest data, on a table that is not counted */
    }
    if (users == l2 && !layout_in_uncounted(layout, cluster)) {
        return true;
    }
    for (guint i = 0; i < trees->len; i++) {
        const Qcow2Tree *tree = &g_array_index(trees, Qcow2Tree, i);

        if (tree->offset < start + layout->header->cluster_size && tree->offset + tree->entries * 8 > start) {
            (*l1)++;
            counted += !qcow2_region_beyond_end(&layout->check->counting, tree->offset, tree->entries * 8);
        }
    }
    return users == counted && !qcow2_cluster_ranges_with(layout->uncounted_others, cluster);
}

bool layout_in_uncounted(const MetadataLayout *layout, uint64_t cluster)
{
    return qcow2_cluster_ranges_with(layout->uncounted, cluster);
}

bool layout_sole_table(const MetadataLayout *layout, uint64_t offset, uint64_t weight)
{
    uint64_t cluster = offset >> layout->header->cluster_bits;

    return offset % layout->header->cluster_size == 0 && offset < layout->metadata.file_end &&
           refmap_get(layout->metadata.refs, cluster) == weight && !layout_in_uncounted(layout, cluster);
}

bool layout_table_writable(const MetadataLayout *layout, uint64_t offset, uint64_t weight)
{
    return layout_sole_table(layout, offset, weight) &&
           !layout_in_unaligned_table(layout, offset >> layout->header->cluster_bits);
}

bool layout_overlapped(const MetadataLayout *layout, uint64_t cluster, uint64_t metadata)
{
    return refmap_get(layout->check->counting.refs, cluster) > metadata ||
           qcow2_count_incomplete(&layout->check->counting, cluster);
}

bool layout_word_writable(const MetadataLayout *layout, uint64_t offset)
{
    uint64_t cluster = offset >> layout->header->cluster_bits;

    return offset % layout->header->cluster_size <= layout->header->cluster_size - 8 && cluster > 0 &&
           cluster < layout->file_clusters && refmap_get(layout->metadata.refs, cluster) == 1 &&
           !layout_overlapped(layout, cluster, 1) && !layout_in_unaligned_table(layout, cluster) &&
           !layout_read_by_guest(layout, cluster);
}

bool layout_any_overlapped(const MetadataLayout *layout)
{
    RefMapRun run;

    for (uint64_t at = 0; refmap_next_run(layout->metadata.refs, at, UINT64_MAX, &run); at = run.first + run.n) {
        for (uint64_t i = run.first; i < run.first + run.n; i++) {
            if (layout_overlapped(layout, i, run.count)) {
                return true;
            }
        }
    }
    return false;
}

bool layout_header_overlapped(const MetadataLayout *layout)
{
    return refmap_get(layout->metadata.refs, 0) > 1 + layout_l2_tables_in(layout, 0);
}
