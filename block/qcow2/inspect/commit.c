/*
 * The bytes that a commit would need: see block/qcow2-backing.h.
 *
 * The tables of both images are gone through together, in the order of the disk, so that each is read once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>

#include "block/qcow2-backing.h"
#include "block/qcow2/format/l2.h"
#include "block/qcow2/inspect/guest-tables.h"
#include "util/number.h"

typedef struct Estimate {
    Qcow2GuestTables overlay;
    const Qcow2Image *base; /* NULL: raw */
    BlockSource *below;

    /* of a raw image below */
    uint64_t bytes;

    /* of a qcow2 image below */
    Qcow2GuestTables tables;
    uint64_t next;    /* the first cluster of its disk that was not looked at; its tables come in order */
    uint64_t loaded;  /* the L1 entry whose table is loaded, or UINT64_MAX */
    uint64_t missing; /* the L1 entry whose new table was counted last, or UINT64_MAX */
    uint64_t clusters;
} Estimate;

static void estimate_clear(Estimate *e)
{
    qcow2_guest_tables_clear(&e->overlay);
    qcow2_guest_tables_clear(&e->tables);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Estimate, estimate_clear)

/* ---- a raw image below ---- */

/* What lies in holes takes space, and all that lies behind the end. */
static void add_raw(Estimate *e, uint64_t offset, uint64_t end)
{
    const BlockSourceOps *ops = e->below->ops;
    uint64_t inside = MIN(end, e->below->length);

    e->bytes += end - MAX(offset, inside);
    while (ops->next_hole && offset < inside) {
        uint64_t hole = ops->next_hole(e->below, offset);
        uint64_t data = hole < inside ? ops->next_data(e->below, hole) : inside;

        if (hole >= inside || data <= hole) {
            return;
        }
        e->bytes += MIN(data, inside) - hole;
        offset = data;
    }
}

/* ---- a qcow2 image below ---- */

/* A table that is missing, or that a snapshot has too, becomes a new cluster. */
static void need_table(Estimate *e, uint64_t l1_index)
{
    if (e->missing != l1_index) {
        e->missing = l1_index;
        e->clusters++;
    }
}

/* Clusters @first to @end of the disk below, all in the table of L1 entry @l1_index. */
static bool add_in_table(Estimate *e, uint64_t l1_index, uint64_t first, uint64_t end, bool data, GError **errp)
{
    uint64_t mask = (UINT64_C(1) << e->tables.header->l2_bits) - 1;
    uint64_t entry = l1_index < e->tables.n_l1 ? e->tables.l1[l1_index] : 0;

    if (!(entry & QCOW2_OFLAG_COPIED) || !(entry & QCOW2_OFFSET_MASK)) {
        need_table(e, l1_index);
    }
    if (!data || !(entry & QCOW2_OFFSET_MASK)) {
        e->clusters += data ? end - first : 0;
        return true;
    }
    if (e->loaded != l1_index && !qcow2_guest_tables_load(&e->tables, l1_index, errp)) {
        return false;
    }
    e->loaded = l1_index;
    for (uint64_t c = first; c < end; c++) {
        uint64_t word = qcow2_guest_entry(&e->tables, c & mask);

        /* What has a cluster of its own is written there; what it shares, or has compressed, gets another one. */
        e->clusters += (word & QCOW2_OFLAG_COMPRESSED) || !(word & QCOW2_OFLAG_COPIED) || !(word & QCOW2_OFFSET_MASK);
    }
    return true;
}

static bool add_qcow2(Estimate *e, uint64_t offset, uint64_t end, bool data, GError **errp)
{
    const Qcow2HeaderFields *h = e->tables.header;
    uint64_t first = MAX(offset >> h->cluster_bits, data ? e->next : 0);
    uint64_t last = DIV_ROUND_UP(end, h->cluster_size);

    while (first < last) {
        uint64_t l1_index = first >> h->l2_bits;
        uint64_t stop = MIN(last, (l1_index + 1) << h->l2_bits);

        if (l1_index >= e->tables.n_l1) {
            uint64_t behind = ((last - 1) >> h->l2_bits) - l1_index + 1;

            e->clusters += behind - (e->missing != UINT64_MAX && e->missing >= l1_index) + (data ? last - first : 0);
            e->missing = (last - 1) >> h->l2_bits;
            break;
        }
        if (!add_in_table(e, l1_index, first, stop, data, errp)) {
            return false;
        }
        first = stop;
    }
    e->next = data ? MAX(e->next, last) : e->next;
    return true;
}

/* Blocks for counts of new clusters at the end of the file, and a longer table for these if it is full. */
static uint64_t with_count_blocks(const Qcow2Image *base, uint64_t clusters)
{
    const Qcow2HeaderFields *h = &base->header;
    uint64_t counts = (h->cluster_size * 8) >> h->refcount_order; /* in a block */
    uint64_t end = DIV_ROUND_UP(base->source->length, h->cluster_size) + clusters;
    uint64_t blocks = DIV_ROUND_UP(end + end / counts + 1, counts);
    uint64_t missing = 0;

    for (uint64_t i = 0; i < blocks; i++) {
        missing += i >= base->refcount_table.n || base->refcount_table.entries[i] == 0;
        if (i >= base->refcount_table.n) {
            missing += blocks - i - 1;
            break;
        }
    }
    if (blocks * 8 > h->refcount_table_clusters * h->cluster_size) {
        missing += DIV_ROUND_UP(blocks * 8 * 2, h->cluster_size); /* it grows by more than it must */
    }
    return clusters > 0 ? clusters + missing + 1 : 0; /* tables that are there may have holes: a few pages */
}

/* A longer L1 table, if the disk below becomes larger than the one that it has reaches. */
static uint64_t longer_l1(const Qcow2HeaderFields *h, uint64_t size)
{
    unsigned bits = h->cluster_bits + h->l2_bits;
    uint64_t entries = (size >> bits) + ((size & ((UINT64_C(1) << bits) - 1)) != 0);

    return entries > h->l1_size ? DIV_ROUND_UP(entries * 8, h->cluster_size) : 0;
}

/* Zeros take an entry where they fill a cluster of the disk below, and its data where they do not. */
static bool add_zeros(Estimate *e, uint64_t offset, uint64_t end, GError **errp)
{
    uint64_t mask = e->tables.header->cluster_size - 1;
    uint64_t whole_end = end & ~mask;
    uint64_t whole_start = MIN((offset + mask) & ~mask, end);

    if (whole_start >= whole_end) {
        return add_qcow2(e, offset, end, true, errp);
    }
    return (offset == whole_start || add_qcow2(e, offset, whole_start, true, errp)) &&
           add_qcow2(e, whole_start, whole_end, false, errp) &&
           (whole_end == end || add_qcow2(e, whole_end, end, true, errp));
}

/* ---- both ---- */

static bool add_range(Estimate *e, uint64_t offset, uint64_t end, Qcow2GuestState state, GError **errp)
{
    if (e->base && state == QCOW2_GUEST_ZERO) {
        return add_zeros(e, offset, end, errp);
    }
    if (e->base) {
        return add_qcow2(e, offset, end, true, errp);
    }
    if (state == QCOW2_GUEST_DATA) {
        add_raw(e, offset, end);
    }
    return true;
}

/* The entries of the table of L1 entry @l1_index, of which the disk has @n, as ranges of the same state. */
static bool add_table(Estimate *e, uint64_t l1_index, uint64_t n, GError **errp)
{
    const Qcow2HeaderFields *h = e->overlay.header;
    uint64_t start = l1_index << (h->l2_bits + h->cluster_bits);

    for (uint64_t i = 0, next; i < n; i = next) {
        Qcow2GuestState state = qcow2_guest_state(&e->overlay, i);

        for (next = i + 1; next < n && qcow2_guest_state(&e->overlay, next) == state; next++) {
        }
        if (state != QCOW2_GUEST_BELOW && !add_range(e, start + (i << h->cluster_bits),
                                                     MIN(start + (next << h->cluster_bits), h->size), state, errp)) {
            return false;
        }
    }
    return true;
}

static bool add_tables(Estimate *e, GError **errp)
{
    const Qcow2HeaderFields *h = e->overlay.header;
    uint64_t clusters = DIV_ROUND_UP(h->size, h->cluster_size);

    for (uint64_t i = 0; (i = qcow2_guest_tables_next(&e->overlay, i)) < e->overlay.n_l1; i++) {
        uint64_t first = i << h->l2_bits;

        if (first >= clusters) {
            break;
        }
        if (!qcow2_guest_tables_load(&e->overlay, i, errp) ||
            !add_table(e, i, MIN(clusters - first, UINT64_C(1) << h->l2_bits), errp)) {
            return false;
        }
    }
    return true;
}

/* Bytes of clusters on a device whose stored count is 0. */
static bool count_free(const Qcow2Image *base, uint64_t *bytes, GError **errp)
{
    BlockReadOptions options = {.workers = 1};
    uint64_t n = base->source->length >> base->header.cluster_bits, used = 0, count;
    g_autoptr(Qcow2StoredCounts) counts =
        qcow2_stored_counts_load(base->source, &base->header, &base->refcount_table, &options, errp);

    for (uint64_t c = 0; counts && (c = qcow2_stored_counts_next(counts, c)) < n; c++) {
        used += !qcow2_stored_count(counts, c, &count) || count > 0;
    }
    *bytes = (n - used) << base->header.cluster_bits;
    return counts != NULL;
}

static bool estimate_room(const Estimate *e, Qcow2Commit *commit, GError **errp)
{
    uint64_t size = e->overlay.header->size;

    commit->is_larger = size > (e->base ? e->base->header.size : e->below->length);
    commit->cannot_be_larger = commit->is_larger && !e->base && e->below->fixed_length;
    commit->has_room = e->below->fixed_length;
    return !commit->has_room || !e->base || count_free(e->base, &commit->room, errp);
}

bool qcow2_estimate_commit(Qcow2Image *overlay, Qcow2Image *base, BlockSource *below, Qcow2Commit *commit,
                           GError **errp)
{
    g_auto(Estimate) e = {.base = base, .below = below, .loaded = UINT64_MAX, .missing = UINT64_MAX};

    *commit = (Qcow2Commit){0};
    if (base && qcow2_has_data_file(&base->header)) {
        g_set_error_literal(errp, BLOCK_ERROR, ENOTSUP, "the data of the image below is in another file");
        return false;
    }
    if (!qcow2_guest_tables_open(&e.overlay, overlay, errp) ||
        (base && !qcow2_guest_tables_open(&e.tables, base, errp)) || !add_tables(&e, errp) ||
        !estimate_room(&e, commit, errp)) {
        return false;
    }
    if (base) {
        e.clusters += longer_l1(&base->header, overlay->header.size);
        e.bytes = with_count_blocks(base, e.clusters) << base->header.cluster_bits;
    }
    commit->bytes = e.bytes;
    return true;
}
