/*
 * Where something new may go.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/allocate.h"

#include "block/qcow2/format/format.h"

void allocator_init(Allocator *a, const RepairInput *in, const MetadataLayout *layout, TargetCounts *targets,
                    Reserved *reserved)
{
    *a = (Allocator){
        .image = {.in = in, .layout = layout, .targets = targets},
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
    a->header_overlapped |= layout_read_by_guest(a->image.layout, 0);
    return !a->header_overlapped;
}

/* ---- finding a place ---- */

/* True where the file has data in @cluster, or may have; *next is the first cluster behind it where it has none. */
static bool has_data(const Allocator *a, uint64_t cluster, uint64_t *next)
{
    const Qcow2HeaderFields *h = a->image.in->header;
    BlockSource *source = a->image.in->image->source;
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
    const Qcow2RefcountEntries *table = &a->image.in->image->refcount_table;

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

    if (layout_in_structure(a->image.layout, cluster, next)) {
        return false;
    }
    if (refmap_get(a->targets->counts, cluster)) {
        *next = cluster + target_counts_stretch(a->targets, cluster);
        return false;
    }
    *next = cluster + 1;
    if (was_taken(a, cluster)) {
        return false;
    }
    if (qcow2_stored_count(a->targets->stored, cluster, &stored) &&
        has_block(a, cluster >> qcow2_refblock_bits(a->image.in->header)) && (!reuse || keep_leaks)) {
        return stored == 0;
    }
    /* nobody says that it is free, but all that is in use is known */
    return !keep_leaks && (reuse || !has_data(a, cluster, next));
}

/* The first of @n clusters behind the end of the file that nothing is in yet, from @first on, which may lie before it.
 */
static uint64_t find_at_end(const Allocator *a, uint64_t first, uint64_t n)
{
    const Qcow2HeaderFields *h = a->image.in->header;
    uint64_t table = h->refcount_table_offset >> h->cluster_bits;
    uint64_t table_end = table + h->refcount_table_clusters;
    uint64_t end = MAX(refmap_clusters(a->targets->counts), refmap_clusters(a->reserved->clusters)), next;

    for (uint64_t at = first; at < end; at++) {
        /* what was appended before, and what an unaligned structure at the end of the file needs */
        bool taken = refmap_get(a->targets->counts, at) || was_taken(a, at);

        /* a last cluster that is not whole has as much in it as another */
        if (taken || (at < a->image.layout->file_clusters && !is_free(a, at, true, &next))) {
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
    uint64_t whole = a->image.in->image->source->length >> a->image.in->header->cluster_bits;
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

/* One place behind another is looked for where single clusters are: what is before it is taken. */
static bool found(uint64_t n, uint64_t first, uint64_t *next)
{
    if (n == 1) {
        *next = first + 1;
    }
    return true;
}

/* Finds @n clusters in a row that nothing lies in; *first is 0 where there are none. */
static bool find_place(Allocator *a, uint64_t n, uint64_t *first, GError **errp)
{
    *first = MAX(a->next_free, 1);
    if (find_inside(a, n, false, first)) {
        return found(n, *first, &a->next_free);
    }
    if (!a->append_end && !append_end_find(a->image.in, a->image.layout, &a->append_end, errp)) {
        return false;
    }
    *first = find_at_end(a, *first, n);
    if (*first + n <= a->append_end && !a->image.in->image->source->fixed_length) {
        return found(n, *first, &a->next_free);
    }
    *first = MAX(a->next_reused, 1);
    if (find_inside(a, n, true, first)) {
        return found(n, *first, &a->next_reused);
    }
    *first = 0;
    return true;
}

bool allocator_reserve(Allocator *a, uint64_t n, uint64_t weight, uint64_t *offset, GError **errp)
{
    Qcow2ClusterRange range = {.n = n};

    if (!find_place(a, n, &range.first, errp)) {
        return false;
    }
    *offset = range.first << a->image.in->header->cluster_bits;
    if (!range.first) {
        return true;
    }
    a->reserved->any = true;
    g_array_append_val(a->ranges, range);
    return (refmap_add(a->targets->counts, range.first, n, MIN(weight, a->image.in->check->counting.max)) &&
            refmap_add(a->reserved->clusters, range.first, n, 1)) ||
           repair_no_memory(errp);
}

bool allocator_release(Allocator *a, uint64_t offset, uint64_t n, GError **errp)
{
    uint64_t first = offset >> a->image.in->header->cluster_bits;

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
    unsigned bits = qcow2_refblock_bits(a->image.in->header);
    uint64_t end = MIN((edit->key + 1) << bits, refmap_clusters(a->targets->counts));
    CountRun run;

    for (uint64_t at = edit->key << bits; target_counts_next_run(a->targets, at, &run) && run.first < end;
         at = run.first + run.n) {
        for (uint64_t i = run.first; i < MIN(run.first + run.n, end); i++) {
            if (run.target > run.stored && refmap_get(a->reserved->clusters, i)) {
                blocks_set_counts(&a->image, bytes, i, 1, run.target);
            }
        }
    }
    return true;
}

static void add_count_edit(const Allocator *a, Edits *edits, ImageCheckFindingKind why, uint64_t block, uint64_t n)
{
    Edit edit = {
        .size = a->image.in->header->cluster_size,
        .structure = IMAGE_CHECK_STRUCTURE_REFCOUNT_BLOCK,
        .why = why,
        .what = "raise reference counts",
        .count = n,
        .change = raise_reserved,
        .opaque = (void *)a,
        .key = block,
    };

    if (n && blocks_writable(&a->image, block) && blocks_location(&a->image, block, &edit.offset)) {
        edits_add(edits, EDIT_PHASE_RAISE, &edit);
    }
}

void allocator_add_counts(Allocator *a, Edits *edits, ImageCheckFindingKind why)
{
    unsigned bits = qcow2_refblock_bits(a->image.in->header);
    uint64_t block = 0, n = 0;

    qcow2_cluster_ranges_sort(a->ranges);
    for (guint k = 0; k < a->ranges->len; k++) {
        const Qcow2ClusterRange *range = &g_array_index(a->ranges, Qcow2ClusterRange, k);

        for (uint64_t i = range->first; i < range->first + range->n; i++, n++) {
            if (i >> bits != block) {
                add_count_edit(a, edits, why, block, n);
                block = i >> bits;
                n = 0;
            }
        }
    }
    add_count_edit(a, edits, why, block, n);
    g_array_set_size(a->ranges, 0);
}
