/*
 * Where something new may go.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/allocate.h"

#include <assert.h>

#include "block/qcow2/format/format.h"
#include "util/number.h"

void allocator_init(Allocator *a, TargetCounts *targets, Reserved *reserved)
{
    *a = (Allocator){
        .targets = targets,
        .reserved = reserved,
        .ranges = g_array_new(FALSE, FALSE, sizeof(Qcow2ClusterRange)),
    };
    targets->reserved = reserved;
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

/* ---- finding a place ---- */

/* Returns true if the file has data in @cluster, or may have; *next is the first cluster behind it where it has none.
 */
static bool has_data(const Allocator *a, uint64_t cluster, uint64_t *next)
{
    const Qcow2HeaderFields *h = a->targets->in->header;
    BlockSource *source = a->targets->in->image->source;
    uint64_t at = cluster << h->cluster_bits;
    uint64_t data = block_source_next_data(source, at);

    if (data >= at + h->cluster_size) {
        return false;
    }
    data = block_source_next_hole(source, data);
    *next = MAX(cluster + 1, (data + h->cluster_size - 1) >> h->cluster_bits);
    return true;
}

/* A last cluster that is not whole is as good as one behind the end. */
static uint64_t whole_clusters(const Allocator *a)
{
    return a->targets->in->image->source->length >> a->targets->in->header->cluster_bits;
}

/* Returns true if @cluster has been in use since the repair began. */
static bool was_taken(const Allocator *a, uint64_t cluster)
{
    const TargetCounts *first = a->targets->in->first;

    return refmap_get(a->reserved->clusters, cluster) || (first && refmap_get(first->counts, cluster));
}

/*
 * Returns true if nothing lies in @cluster; else *next is the first cluster behind it worth a look. Where no count is
 * known and there are data, they may be those of a table that was lost: only with @reuse is that free, as is what is
 * leaked and to be freed.
 */
static bool is_free(const Allocator *a, uint64_t cluster, bool reuse, uint64_t *next)
{
    const Qcow2HeaderFields *h = a->targets->in->header;
    uint64_t table = h->refcount_table_offset >> h->cluster_bits, stored;
    bool keep_leaks = a->targets->keep_leaks;
    RefMapRun used;

    if (layout_in_structure(a->targets->layout, cluster, next)) {
        return false;
    }
    if (refmap_get(a->targets->counts, cluster) && refmap_next_run(a->targets->counts, cluster, UINT64_MAX, &used)) {
        *next = used.first + used.n;
        return false;
    }
    *next = cluster + 1;
    /* a table behind the end is all zeros; after a crash it must not be what was written, with the header as it was */
    if (was_taken(a, cluster) || (cluster >= table && cluster - table < h->refcount_table_clusters)) {
        return false;
    }
    if (cluster >= a->targets->layout->file_clusters) {
        return true;
    }
    reuse |= cluster >= whole_clusters(a);
    if (qcow2_stored_count(a->targets->stored, cluster, &stored) &&
        target_counts_has_block(a->targets, cluster >> qcow2_refblock_bits(h)) && (!reuse || keep_leaks)) {
        return stored == 0;
    }
    if (keep_leaks) { /* nor are those before the next block free, of which a sparse file has few */
        uint64_t block = qcow2_stored_counts_next(a->targets->stored, cluster);

        *next = MAX(*next, MIN(block, a->targets->layout->file_clusters));
        return false;
    }
    /* nobody says that it is free, but all that is in use is known */
    return reuse || !has_data(a, cluster, next);
}

/* Finds @n clusters in a row from *first on that are free, and end at or before cluster @end. */
static bool find_row(const Allocator *a, uint64_t n, bool reuse, uint64_t end, uint64_t *first)
{
    uint64_t at = *first, next;

    while (at - *first < n && *first + n <= end) {
        if (is_free(a, at, reuse, &next)) {
            at++;
        } else {
            assert(next > at);
            *first = at = next;
        }
    }
    return at - *first == n;
}

/* Finds @n clusters in a row that nothing lies in; 0 where there are none. */
static uint64_t find_place(Allocator *a, uint64_t n)
{
    bool grows = !a->targets->in->image->source->fixed_length;
    uint64_t whole = whole_clusters(a), end = grows ? MAX(whole, layout_append_end(a->targets->layout)) : whole;
    uint64_t *next = &a->next_free;
    uint64_t first = MAX(*next, 1);

    if (!find_row(a, n, false, end, &first)) {
        next = &a->next_reused;
        first = MAX(*next, 1);
        if (!find_row(a, n, true, whole, &first)) {
            return 0;
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
    assert(!refmap_get(a->targets->counts, range.first) && !refmap_get(a->targets->counts, range.first + n - 1));
    a->reserved->any = a->targets->may_raise = true;
    g_array_append_val(a->ranges, range);
    return (refmap_add(a->targets->counts, range.first, n, MIN(weight, a->targets->in->check->counting.max)) &&
            refmap_add(a->reserved->clusters, range.first, n, 1)) ||
           repair_no_memory(errp);
}

bool allocator_add_references(Allocator *a, uint64_t cluster, uint64_t n, GError **errp)
{
    Qcow2ClusterRange range = {cluster, 1};

    g_array_append_val(a->ranges, range);
    return (refmap_add(a->targets->counts, cluster, 1, n) && refmap_add(a->reserved->clusters, cluster, 1, 1)) ||
           repair_no_memory(errp);
}

bool allocator_release(Allocator *a, uint64_t offset, uint64_t n, GError **errp)
{
    uint64_t first = offset >> a->targets->in->header->cluster_bits;

    for (uint64_t i = first; i < first + n; i++) {
        assert(refmap_get(a->reserved->clusters, i) && refmap_get(a->targets->counts, i));
        if (!refmap_subtract(a->targets->counts, i, 1) || !refmap_subtract(a->reserved->clusters, i, 1)) {
            return repair_no_memory(errp);
        }
    }
    return true;
}

/* ---- counting it ---- */

void allocator_add_counts(Allocator *a, Edits *edits, ImageCheckFindingKind why)
{
    unsigned bits = qcow2_refblock_bits(a->targets->in->header);
    uint64_t next = 0; /* block */

    qcow2_cluster_ranges_sort(a->ranges);
    for (guint k = 0; k < a->ranges->len; k++) {
        const Qcow2ClusterRange *range = &g_array_index(a->ranges, Qcow2ClusterRange, k);
        uint64_t end = ((range->first + range->n - 1) >> bits) + 1;

        for (next = MAX(next, range->first >> bits); next < end; next++) {
            blocks_add_edit(a->targets, edits, next, BLOCKS_RAISE_RESERVED, why);
        }
    }
    g_array_set_size(a->ranges, 0);
}
