/*
 * Where something new may go.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/allocate.h"

#include "block/qcow2/format/format.h"
#include "util/number.h"

void allocator_init(Allocator *a, TargetCounts *targets, Reserved *reserved)
{
    *a = (Allocator){
        .targets = targets,
        .reserved = reserved,
        .ranges = g_array_new(FALSE, FALSE, sizeof(Qcow2ClusterRange)),
    };
}

void allocator_clear(Allocator *a)
{
    g_clear_pointer(&a->ranges, g_array_unref);
}

bool allocator_header_writable(Allocator *a)
{
    a->header_overlapped |= layout_read_by_guest(a->targets->layout, 0);
    return !a->header_overlapped;
}

/* ---- how far the file can grow ---- */

/* A table that is cut off must not go on in what is appended, or behind that: as zeros, it would seem to be whole. */
static void bound_by_region(void *opaque, const MetadataRegion *region)
{
    Allocator *a = opaque;
    uint64_t end;

    /* entries for refcount blocks that lead out of the file are not used any more, nor is such a table */
    if (region->size && !region->refcounts &&
        (!add_u64(region->offset, region->size, &end) || end > a->targets->in->image->source->length)) {
        a->append_end = MIN(a->append_end, region->offset >> a->targets->in->header->cluster_bits);
    }
}

/*
 * The first cluster that something refers to, and that must not be appended; nor must the one before it, as a region
 * that is no more than a cluster beyond the end counts as inside.
 */
static void find_append_end(Allocator *a)
{
    const MetadataLayout *layout = a->targets->layout;
    uint64_t uncounted = layout->overlap.uncounted_beyond;

    a->append_end = layout->check->counting.beyond;
    if (a->append_end != UINT64_MAX) {
        a->append_end >>= layout->header->cluster_bits;
    }
    layout_each_region(layout->check, bound_by_region, a);
    a->append_end = MAX(MIN(MAX(a->append_end, 1) - 1, uncounted), 1);
}

/* ---- finding a place ---- */

/* True where the file has data in @cluster, or may have; *next is the first cluster behind it where it has none. */
static bool has_data(const Allocator *a, uint64_t cluster, uint64_t *next)
{
    const Qcow2HeaderFields *h = a->targets->in->header;
    BlockSource *source = a->targets->in->image->source;
    uint64_t at = cluster << h->cluster_bits;
    uint64_t data = source->ops->next_data ? source->ops->next_data(source, at) : at;

    if (data >= at + h->cluster_size) {
        return false;
    }
    data = source->ops->next_data ? source->ops->next_hole(source, data) : source->length;
    *next = MAX(cluster + 1, (data + h->cluster_size - 1) >> h->cluster_bits);
    return true;
}

static bool has_block(const Allocator *a, uint64_t index)
{
    const Qcow2RefcountEntries *table = &a->targets->in->image->refcount_table;

    return index < table->n && table->entries[index] & QCOW2_REFTABLE_OFFSET_MASK;
}

/* True where @cluster has been in use since the repair began. */
static bool was_taken(const Allocator *a, uint64_t cluster)
{
    return refmap_get(a->reserved->clusters, cluster) || refmap_get(a->reserved->before, cluster);
}

/*
 * True where nothing lies in @cluster; else *next is the first cluster behind it worth a look. Where no count is known
 * and there are data, they may be those of a table that was lost: only with @reuse is that free, as is what is leaked
 * and to be freed.
 */
static bool is_free(const Allocator *a, uint64_t cluster, bool reuse, uint64_t *next)
{
    bool keep_leaks = a->targets->keep_leaks;
    uint64_t stored;
    CountRun used;

    if (layout_in_structure(a->targets->layout, cluster, next)) {
        return false;
    }
    if (refmap_get(a->targets->counts, cluster) && target_counts_next_used(a->targets, cluster, UINT64_MAX, &used)) {
        *next = used.first + used.n;
        return false;
    }
    *next = cluster + 1;
    if (was_taken(a, cluster)) {
        return false;
    }
    if (qcow2_stored_count(a->targets->stored, cluster, &stored) &&
        has_block(a, cluster >> qcow2_refblock_bits(a->targets->in->header)) && (!reuse || keep_leaks)) {
        return stored == 0;
    }
    /* nobody says that it is free, but all that is in use is known */
    return !keep_leaks && (reuse || !has_data(a, cluster, next));
}

/* The first of @n clusters behind the end of the file that nothing is in yet, from @first on, which may lie before it.
 */
static uint64_t find_at_end(const Allocator *a, uint64_t first, uint64_t n)
{
    const Qcow2HeaderFields *h = a->targets->in->header;
    uint64_t table = h->refcount_table_offset >> h->cluster_bits;
    uint64_t table_end = table + h->refcount_table_clusters;
    uint64_t end = MAX(refmap_clusters(a->targets->counts), refmap_clusters(a->reserved->clusters)), next;

    for (uint64_t at = first; at < end; at++) {
        /* what was appended before, and what an unaligned structure at the end of the file needs */
        bool taken = refmap_get(a->targets->counts, at) || was_taken(a, at);

        /* a last cluster that is not whole has as much in it as another */
        if (taken || (at < a->targets->layout->file_clusters && !is_free(a, at, true, &next))) {
            first = at + 1;
        }
    }
    /* a table behind the end is all zeros; after a crash it must not be what was written, with the header as it was */
    return first < table_end && first + n > table ? table_end : first;
}

/* Finds @n free clusters in a row in the file from *first on; else *first is where those at the end of it begin. */
static bool find_inside(const Allocator *a, uint64_t n, bool reuse, uint64_t *first)
{
    /* a last cluster that is not whole is as good as one behind the end */
    uint64_t whole = a->targets->in->image->source->length >> a->targets->in->header->cluster_bits;
    uint64_t start = *first, at = start;

    while (at < whole && at - *first < n) {
        uint64_t next;

        if (is_free(a, at, reuse, &next)) {
            at++;
        } else {
            *first = at = next;
        }
    }
    if (at - *first < n) {
        *first = MAX(start, MIN(*first, whole));
        return false;
    }
    return true;
}

/* Finds @n clusters in a row that nothing lies in; 0 where there are none. */
static uint64_t find_place(Allocator *a, uint64_t n)
{
    uint64_t *next = &a->next_free;
    uint64_t first = MAX(*next, 1);

    if (!find_inside(a, n, false, &first)) {
        if (!a->append_end) {
            find_append_end(a);
        }
        first = find_at_end(a, first, n);
        if (first + n > a->append_end || a->targets->in->image->source->fixed_length) {
            next = &a->next_reused;
            first = MAX(*next, 1);
            if (!find_inside(a, n, true, &first)) {
                return 0;
            }
        }
    }
    if (n == 1) {
        *next = first + 1; /* what is before it is taken */
    }
    return first;
}

bool allocator_reserve(Allocator *a, uint64_t n, uint64_t weight, uint64_t *offset, GError **errp)
{
    Qcow2ClusterRange range = {.first = find_place(a, n), .n = n};

    *offset = range.first << a->targets->in->header->cluster_bits;
    if (!range.first) {
        return true;
    }
    a->reserved->any = true;
    g_array_append_val(a->ranges, range);
    return (refmap_add(a->targets->counts, range.first, n, MIN(weight, a->targets->in->check->counting.max)) &&
            refmap_add(a->reserved->clusters, range.first, n, 1)) ||
           repair_no_memory(errp);
}

bool allocator_release(Allocator *a, uint64_t offset, uint64_t n, GError **errp)
{
    uint64_t first = offset >> a->targets->in->header->cluster_bits;

    for (uint64_t i = first; i < first + n; i++) {
        if (!refmap_subtract(a->targets->counts, i, 1) || !refmap_subtract(a->reserved->clusters, i, 1)) {
            return repair_no_memory(errp);
        }
    }
    return true;
}

/* ---- counting it ---- */

/* Counts what was reserved in a block: nothing else of it rises. */
static bool raise_reserved(const Edit *edit, uint8_t *bytes)
{
    const Allocator *a = edit->opaque;
    uint64_t end = (edit->key + 1) << qcow2_refblock_bits(a->targets->in->header);
    CountRun run;

    for (uint64_t at = edit->key << qcow2_refblock_bits(a->targets->in->header);
         target_counts_next_run(a->targets, at, &run) && run.first < end; at = run.first + run.n) {
        for (uint64_t i = run.first; run.target > run.stored && i < run.first + run.n; i++) {
            if (refmap_get(a->reserved->clusters, i)) {
                blocks_set_counts(a->targets, bytes, i, 1, run.target);
            }
        }
    }
    return true;
}

void allocator_add_counts(Allocator *a, Edits *edits, ImageCheckFindingKind why)
{
    unsigned bits = qcow2_refblock_bits(a->targets->in->header);
    uint64_t next = 0; /* block */
    Edit edit = {
        .size = a->targets->in->header->cluster_size,
        .structure = IMAGE_CHECK_STRUCTURE_REFCOUNT_BLOCK,
        .why = why,
        .what = "raise reference counts",
        .change = raise_reserved,
        .opaque = a,
    };

    qcow2_cluster_ranges_sort(a->ranges);
    for (guint k = 0; k < a->ranges->len; k++) {
        const Qcow2ClusterRange *range = &g_array_index(a->ranges, Qcow2ClusterRange, k);

        for (edit.key = MAX(next, range->first >> bits); edit.key <= (range->first + range->n - 1) >> bits;
             edit.key++) {
            if (blocks_writable(a->targets, edit.key, &edit.offset)) {
                edits_add(edits, EDIT_PHASE_RAISE, &edit);
            }
            next = edit.key + 1;
        }
    }
    g_array_set_size(a->ranges, 0);
}
