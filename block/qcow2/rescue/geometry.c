/*
 * The geometry of an image without a header.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/rescue/geometry.h"

#include <errno.h>

#include "block/qcow2/format/l2.h"
#include "block/qcow2/format/refcounts.h"
#include "qapi/util.h"
#include "util/number.h"

#define BLOCKS_TRIED 32 /* entries of a refcount table that are followed */
#define USUAL_ORDER  4

void qcow2_set_geometry(Qcow2HeaderFields *h, unsigned cluster_bits, bool extended, unsigned refcount_order)
{
    h->version = 3;
    h->header_length = sizeof(Qcow2DiskHeader);
    h->cluster_bits = cluster_bits;
    h->cluster_size = UINT64_C(1) << cluster_bits;
    h->refcount_order = refcount_order;
    h->incompatible_features &= ~QCOW2_INCOMPAT_EXTENDED_L2;
    h->incompatible_features |= extended ? QCOW2_INCOMPAT_EXTENDED_L2 : 0;
    h->l2_bits = cluster_bits - (extended ? 4 : 3);
}

/* ---- the refcount table ---- */

/* A table of reference counts that is tried. */
typedef struct Trial {
    BlockSource *source;
    const Qcow2HeaderFields *header;
    uint64_t offset;
    const uint8_t *table; /* its first cluster */
    uint8_t *block;       /* for one */
} Trial;

/* Sets *@count to that of @cluster. */
static bool count_of(const Trial *t, uint64_t cluster, uint64_t *count)
{
    unsigned bits = qcow2_refblock_bits(t->header);
    uint64_t index = cluster >> bits, at, first, size;

    if (index >= t->header->cluster_size / 8) {
        return false; /* behind what was read of the table */
    }
    at = load_be64(t->table + 8 * index);
    if (!at || at % t->header->cluster_size || at >= t->source->length) {
        return false;
    }
    first = ((cluster & ((UINT64_C(1) << bits) - 1)) << t->header->refcount_order) / 64 * 8;
    size = 8;
    if (block_source_read(t->source, t->block, size, at + first)) {
        return false;
    }
    qcow2_unpack_refcounts(t->block, t->header->refcount_order,
                           (cluster & ((UINT64_C(64) >> t->header->refcount_order) - 1)), 1, count);
    return true;
}

static bool counts_once(const Trial *t, uint64_t offset)
{
    uint64_t count;

    return count_of(t, offset >> t->header->cluster_bits, &count) && count == 1;
}

/* No cluster behind the end of the file is in use. */
static bool counts_nothing_behind_end(const Trial *t)
{
    uint64_t end = DIV_ROUND_UP(t->source->length, t->header->cluster_size), count;

    for (unsigned i = 1; i < 64; i *= 2) {
        if (count_of(t, end + i, &count) && count) {
            return false;
        }
    }
    return true;
}

static bool try_refcount_table(const Trial *t)
{
    unsigned blocks = 0;

    for (uint64_t i = 0; i < t->header->cluster_size / 8 && blocks < BLOCKS_TRIED; i++) {
        uint64_t at = load_be64(t->table + 8 * i);

        if (at && !counts_once(t, at)) {
            /* the count of a far block may be in a part of the table that was not read */
            if (at >> t->header->cluster_bits >> qcow2_refblock_bits(t->header) < t->header->cluster_size / 8) {
                return false;
            }
        }
        blocks += at != 0;
    }
    return blocks && counts_once(t, 0) && counts_once(t, t->offset) && counts_nothing_behind_end(t);
}

bool qcow2_is_refcount_table(BlockSource *source, const Qcow2HeaderFields *header, uint64_t offset)
{
    g_autofree uint8_t *table = g_malloc(header->cluster_size);
    uint8_t block[8];
    Trial t = {source, header, offset, table, block};

    return offset && offset % header->cluster_size == 0 && offset < source->length &&
           !block_source_read(source, table, header->cluster_size, offset) && try_refcount_table(&t);
}

/* As many clusters as are needed to count all of the file. */
static uint32_t table_clusters(BlockSource *source, const Qcow2HeaderFields *h)
{
    uint64_t clusters = DIV_ROUND_UP(source->length, h->cluster_size);
    uint64_t blocks = DIV_ROUND_UP(clusters, UINT64_C(1) << qcow2_refblock_bits(h));

    return (uint32_t)MIN(DIV_ROUND_UP(blocks * 8, h->cluster_size), QCOW2_MAX_REFTABLE_BYTES / h->cluster_size);
}

/* Tries all widths of counts, @first before the others. */
static bool confirm_at(BlockSource *source, Qcow2HeaderFields *h, uint64_t offset, unsigned first)
{
    for (unsigned i = 0; i <= QCOW2_MAX_REFCOUNT_ORDER + 1; i++) {
        h->refcount_order = i ? i - 1 : first;
        if (qcow2_is_refcount_table(source, h, offset)) {
            h->refcount_table_offset = offset;
            h->refcount_table_clusters = table_clusters(source, h);
            return true;
        }
    }
    h->refcount_order = first;
    return false;
}

/* Entries of a refcount table have no flags. */
static bool confirm(BlockSource *source, Qcow2Geometry *g, const Qcow2Remains *const *hints, size_t n_hints)
{
    unsigned order = USUAL_ORDER;

    for (size_t i = n_hints; i-- > 0;) {
        if (hints[i]->header.refcount_order <= QCOW2_MAX_REFCOUNT_ORDER && hints[i]->is_qcow2) {
            order = hints[i]->header.refcount_order;
        }
    }
    for (size_t i = 0; i < n_hints; i++) {
        if (confirm_at(source, &g->header, hints[i]->header.refcount_table_offset, order)) {
            return true;
        }
    }
    for (guint i = 0; i < g->tables->len; i++) {
        const Qcow2FoundTable *t = &g_array_index(g->tables, Qcow2FoundTable, i);

        if (t->may_be_l1 && !t->copied && confirm_at(source, &g->header, t->offset, order)) {
            return true;
        }
    }
    g->header.refcount_order = order;
    return false;
}

/* ---- the cluster size ---- */

static bool fits(const Qcow2Votes *votes, const Qcow2Remains *hint)
{
    unsigned bits = hint->header.cluster_bits;

    return hint->is_qcow2 && bits >= QCOW2_MIN_CLUSTER_BITS && bits <= QCOW2_MAX_CLUSTER_BITS &&
           votes->aligned[bits - QCOW2_MIN_CLUSTER_BITS] >= votes->offsets - votes->offsets / 16;
}

/*
 * The sizes to try, as bits: those that the votes are for, then those of the hints that nearly all offsets fit. Too
 * small a size may seem to be confirmed, but a size that is too large never, so that the votes come first.
 */
static unsigned list_sizes(const Qcow2Votes *votes, const Qcow2Remains *const *hints, size_t n_hints, unsigned *bits,
                           unsigned *likeliest, bool *hinted)
{
    unsigned n = qcow2_votes_order(votes, bits);

    *likeliest = bits[0];
    for (size_t i = n_hints; i-- > 0;) {
        if (fits(votes, hints[i])) {
            bits[n++] = *likeliest = hints[i]->header.cluster_bits;
            *hinted = true;
        }
    }
    return n;
}

/* The first of @hints that has clusters of this size; NULL: none. */
static const Qcow2HeaderFields *hint_for(const Qcow2Remains *const *hints, size_t n_hints, unsigned bits)
{
    for (size_t i = 0; i < n_hints; i++) {
        if (hints[i]->is_qcow2 && hints[i]->header.cluster_bits == bits) {
            return &hints[i]->header;
        }
    }
    return NULL;
}

/* Finds the tables of clusters of this size; @hint: see qcow2_tables_are_extended(). */
static bool try_size(BlockSource *source, const BlockReadOptions *options, const Qcow2Scan *scan, unsigned bits,
                     const Qcow2HeaderFields *hint, Qcow2Geometry *g, GError **errp)
{
    bool extended;

    g_clear_pointer(&g->tables, g_array_unref);
    g->header = (Qcow2HeaderFields){0};
    qcow2_set_geometry(&g->header, bits, false, USUAL_ORDER);
    g->tables = qcow2_find_tables(source, options, &g->header, scan, errp);
    extended = g->tables && bits >= 14 && qcow2_tables_are_extended(g->tables, hint);
    if (extended) {
        g_clear_pointer(&g->tables, g_array_unref);
        qcow2_set_geometry(&g->header, bits, true, USUAL_ORDER);
        g->tables = qcow2_find_tables(source, options, &g->header, scan, errp);
    }
    return g->tables != NULL;
}

/* A table whose entries lead to tables: with the wrong size there hardly is one. */
static bool has_l1_table(const GArray *tables)
{
    for (guint i = 0; i < tables->len; i++) {
        if (g_array_index(tables, Qcow2FoundTable, i).is_l1) {
            return true;
        }
    }
    return false;
}

bool qcow2_find_geometry(BlockSource *source, const BlockReadOptions *options, const Qcow2Scan *scan,
                         const Qcow2Remains *const *hints, size_t n_hints, Qcow2Geometry *g, GError **errp)
{
    unsigned bits[QCOW2_RESCUE_SIZES + 2] = {0}, n, likeliest;
    bool hinted = false, linked = false;

    g_assert(n_hints <= 2);
    *g = (Qcow2Geometry){0};
    n = list_sizes(&scan->votes, hints, n_hints, bits, &likeliest, &hinted);
    if (!n || scan->votes.offsets + scan->votes.pairs == 0) {
        g_set_error_literal(errp, BLOCK_ERROR, EINVAL, "Nothing in it looks like a table of a qcow2 image");
        return false;
    }
    for (unsigned i = 0; i < n && !g->confirmed; i++) {
        if (!try_size(source, options, scan, bits[i], hint_for(hints, n_hints, bits[i]), g, errp)) {
            return false;
        }
        g->confirmed = confirm(source, g, hints, n_hints);
        if (!hinted && !linked && has_l1_table(g->tables)) {
            likeliest = bits[i];
            linked = true;
        }
    }
    if (g->confirmed || g->header.cluster_bits == likeliest) {
        return true;
    }
    if (!try_size(source, options, scan, likeliest, hint_for(hints, n_hints, likeliest), g, errp)) {
        return false;
    }
    confirm(source, g, hints, n_hints); /* for the width of counts; it fails again */
    return true;
}

void qcow2_geometry_clear(Qcow2Geometry *g)
{
    g_clear_pointer(&g->tables, g_array_unref);
}
