/*
 * Guest data that lies on metadata.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/overlap.h"

#include <assert.h>

#include "block/qcow2/check/collect.h"
#include "block/qcow2/format/format.h"
#include "util/number.h"
#include "util/search.h"

/* Returns true if @cluster is metadata, and has more users. */
static bool is_overlapped(const MetadataLayout *layout, uint64_t cluster)
{
    uint64_t metadata = refmap_get(layout->metadata.refs, cluster);

    return metadata && layout_overlapped(layout, cluster, metadata);
}

bool overlap_lies_on_metadata(const MetadataLayout *layout, const OverlappedEntry *e)
{
    for (uint64_t i = overlap_first_cluster(layout, e); i <= overlap_last_cluster(layout, e); i++) {
        if (e->counted ? is_overlapped(layout, i) : refmap_get(layout->metadata.refs, i) != 0) {
            return true;
        }
    }
    return false;
}

/* What is read where an entry, at @word, has a cluster but says that it is zeros does not depend on that. */
static bool is_read(const Qcow2HeaderFields *h, const Qcow2Extent *extent, const uint8_t *word)
{
    if (extent->compressed) {
        return true;
    }
    return qcow2_has_extended_l2(h) ? load_be64(word + 8) & UINT32_MAX
                                    : h->version < 3 || !(load_be64(word) & QCOW2_OFLAG_ZERO);
}

/* A table whose entries are visited. */
typedef struct TableVisit {
    const MetadataLayout *layout;
    const Qcow2TableRef *table;
    const uint8_t *bytes;
    GArray *entries; /* OverlappedEntry: those that were found */
} TableVisit;

static void visit_extent(const TableVisit *v, const Qcow2Extent *extent, bool counted)
{
    const MetadataLayout *layout = v->layout;
    const Qcow2TableRef *table = v->table;
    size_t in_table = (size_t)extent->index * qcow2_l2_entry_size(layout->header);
    OverlappedEntry e = {
        .at = table->offset + in_table,
        .entry = load_be64(v->bytes + in_table),
        .weight = table->weight,
        .active = table->active,
        .offset = extent->offset,
        .length = extent->length,
        .compressed = extent->compressed,
        .read = is_read(layout->header, extent, v->bytes + in_table),
        .counted = counted && !qcow2_region_beyond_end(&layout->check->counting, extent->offset, extent->length),
    };

    e.movable = e.counted && layout->header->crypt_method == QCOW2_CRYPT_NONE && /* else it is read there only */
                layout_table_writable(layout, table->offset, table->weight);
    assert(e.length > 0 && e.active <= e.weight);
    if (!e.counted || overlap_lies_on_metadata(layout, &e)) {
        g_array_append_val(v->entries, e);
    }
}

/* Compressed data that is not counted where it is, but that a guest reads all the same. */
static void visit_faults(const TableVisit *v, const Qcow2L2Result *contents)
{
    for (guint i = 0; i < contents->faults->len; i++) {
        const Qcow2L2Fault *fault = &g_array_index(contents->faults, Qcow2L2Fault, i);

        if (fault->kind == QCOW2_FINDING_COMPRESSED_WITH_SUBCLUSTERS) {
            uint64_t entry = load_be64(v->bytes + (size_t)fault->index * qcow2_l2_entry_size(v->layout->header));
            Qcow2Extent extent = qcow2_l2_compressed_extent(v->layout->header, entry, fault->index);

            visit_extent(v, &extent, false);
        }
    }
}

static bool visit_table(void *opaque, GArray *items, const Qcow2TableRef *table, const uint8_t *bytes,
                        const Qcow2L2Result *contents)
{
    const MetadataLayout *layout = opaque;
    const TableVisit v = {.layout = layout, .table = table, .bytes = bytes, .entries = items};
    const Qcow2HeaderFields *h = layout->header;

    if (!layout_sole_table(layout, table->offset, table->weight)) {
        return true;
    }
    for (uint32_t i = 0; i < contents->n_runs; i++) {
        const Qcow2Run *run = &contents->runs[i];
        uint64_t inside = qcow2_clusters_inside(&layout->check->counting, run->offset, run->n);

        for (uint32_t k = 0; k < inside; k++) {
            Qcow2Extent extent = {
                .offset = run->offset + ((uint64_t)k << h->cluster_bits),
                .length = (uint32_t)h->cluster_size,
                .index = run->index + k,
            };

            if (is_overlapped(layout, extent.offset >> h->cluster_bits)) {
                visit_extent(&v, &extent, true);
            }
        }
    }
    for (guint i = 0; i < contents->extents->len; i++) {
        const Qcow2Extent *e = &g_array_index(contents->extents, Qcow2Extent, i);

        if (e->compressed) { /* unaligned data is damaged otherwise already */
            visit_extent(&v, e, true);
        }
    }
    visit_faults(&v, contents);
    return true;
}

bool overlap_find(MetadataLayout *layout, GError **errp)
{
    const uint64_t *found = layout->check->report.count_by_kind;
    bool uncounted = found[QCOW2_FINDING_COMPRESSED_WITH_SUBCLUSTERS] || found[QCOW2_FINDING_REGION_BEYOND_END];
    GuestOverlap *overlap = &layout->overlap;
    guint kept = 0;

    if (qcow2_has_data_file(layout->header) || (!uncounted && !layout_any_overlapped(layout))) {
        return true;
    }
    overlap->entries = g_array_new(FALSE, FALSE, sizeof(OverlappedEntry));
    overlap->reads = refmap_new(layout->file_clusters);
    if (!qcow2_walk_collect(layout->check->walk, visit_table, layout, overlap->entries, errp)) {
        return false;
    }
    ARRAY_SORT(overlap->entries, OverlappedEntry, at);
    for (guint i = 0; i < overlap->entries->len; i++) {
        OverlappedEntry e = g_array_index(overlap->entries, OverlappedEntry, i);
        uint64_t first = overlap_first_cluster(layout, &e);
        uint64_t last = (e.offset + e.length - 1) >> layout->header->cluster_bits;

        if (last >= layout->file_clusters) {
            overlap->uncounted_beyond = MIN(overlap->uncounted_beyond, MAX(first, layout->file_clusters));
        }
        if (first >= layout->file_clusters) {
            continue;
        }
        g_array_index(overlap->entries, OverlappedEntry, kept++) = e;
        if (e.read && !refmap_add(overlap->reads, first, overlap_last_cluster(layout, &e) - first + 1, 1)) {
            return repair_no_memory(errp);
        }
        if (!e.counted) {
            layout_add_structure(layout, e.offset, e.length); /* or the place would be free */
        }
    }
    g_array_set_size(overlap->entries, kept);
    qcow2_cluster_ranges_sort(layout->structures);
    return true;
}
