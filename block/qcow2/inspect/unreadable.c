/*
 * Ranges of the guest's disk that cannot be read as they were written.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/unreadable.h"

#include <assert.h>

#include "block/qcow2/check/collect.h"
#include "block/qcow2/format/format.h"
#include "util/number.h"

struct Qcow2UnreadableFinder {
    const Qcow2HeaderFields *header;
    const Qcow2Image *image;
    uint64_t file_end;  /* see qcow2_file_end() */
    bool looks_at_each; /* entries may be wrong that the decoder has nothing against */
    Qcow2Collect found; /* Qcow2Unreadable, QCOW2_MAX_UNREADABLE by each thread */
    uint64_t more;      /* clusters that are not among them; atomic */
};

/* ---- while the tables are read ---- */

/* A table, as it is looked at. */
typedef struct Look {
    Qcow2UnreadableFinder *finder;
    GArray *items;
    const Qcow2HeaderFields *header;
    const Qcow2TableRef *table;
    const uint8_t *bytes;
} Look;

static uint64_t entry_at(const Look *l, uint32_t index)
{
    return load_be64(l->bytes + (size_t)index * qcow2_l2_entry_size(l->header));
}

/* The offset of the guest that entry @index maps, or UINT64_MAX where that is not known. */
static uint64_t guest_offset(const Look *l, uint64_t l1_index, uint32_t index)
{
    return l1_index >> (64 - l->header->cluster_bits - l->header->l2_bits)
               ? UINT64_MAX
               : ((l1_index << l->header->l2_bits) + index) << l->header->cluster_bits;
}

/*
 * The bytes of the cluster of entry @index, from its start, that the guest reads from the file: a program that writes
 * subclusters need not write those behind them, and the last cluster of the disk may go on behind its end.
 */
static uint64_t stored_length(const Look *l, uint32_t index)
{
    const Qcow2HeaderFields *h = l->header;
    const uint8_t *at = l->bytes + (size_t)index * qcow2_l2_entry_size(h);
    uint64_t length = load_be64(at) & QCOW2_OFLAG_ZERO ? 0 : h->cluster_size, guest;

    if (qcow2_has_extended_l2(h)) {
        uint32_t stored = (uint32_t)load_be64(at + 8);

        length = stored ? h->cluster_size / QCOW2_SUBCLUSTERS * g_bit_storage(stored) : 0;
    }
    if (length && l->table->active) {
        guest = guest_offset(l, (l->table->slot - h->l1_table_offset) / 8, index);
        length = guest < h->size ? MIN(length, h->size - guest) : 0;
    }
    return length;
}

/* Compressed data lies anywhere. */
static bool is_compressed(const Qcow2Unreadable *u)
{
    return u->reason == QCOW2_UNREADABLE_COMPRESSED_CUT || u->reason >= QCOW2_UNREADABLE_NOT_READ;
}

static bool continues(const Qcow2Unreadable *last, const Qcow2Unreadable *next)
{
    bool follows = is_compressed(last) || last->offset + (uint64_t)last->n * last->length == next->offset;

    return last->table == next->table && last->reason == next->reason && last->index + last->n == next->index &&
           follows;
}

static void add(const Look *l, Qcow2UnreadableReason reason, uint32_t index, uint64_t offset, uint32_t length)
{
    GArray *items = l->items;
    Qcow2Unreadable *last = items->len ? &g_array_index(items, Qcow2Unreadable, items->len - 1) : NULL;
    Qcow2Unreadable item = {.reason = reason,
                            .table = l->table->offset,
                            .slot = l->table->slot,
                            .offset = offset,
                            .length = length,
                            .index = index,
                            .n = 1};

    if (last && continues(last, &item)) {
        last->n++;
    } else if (items->len < QCOW2_MAX_UNREADABLE) {
        g_array_append_val(items, item);
    } else {
        __atomic_fetch_add(&l->finder->more, 1, __ATOMIC_RELAXED);
    }
}

/* What the decoder has found. */
static void look_at_faults(const Look *l, const Qcow2L2Result *contents)
{
    for (guint i = 0; i < contents->faults->len; i++) {
        const Qcow2L2Fault *f = &g_array_index(contents->faults, Qcow2L2Fault, i);

        switch (f->kind) {
        case QCOW2_FINDING_DATA_UNALIGNED:
        case QCOW2_FINDING_PREALLOCATED_UNALIGNED:
        case QCOW2_FINDING_SUBCLUSTERS_CONTRADICT:
        case QCOW2_FINDING_UNALLOCATED_WITH_SUBCLUSTERS:
        case QCOW2_FINDING_COMPRESSED_WITH_DATA_FILE:
            add(l, QCOW2_UNREADABLE_FOUND, f->index, 0, 0);
            break;
        default:
            break;
        }
    }
}

static void look_at_runs(const Look *l, const Qcow2L2Result *contents)
{
    uint64_t file_end = l->finder->file_end, size = l->header->cluster_size;

    for (uint32_t i = 0; i < contents->n_runs; i++) {
        const Qcow2Run *run = &contents->runs[i];
        uint64_t inside; /* clusters that are whole */

        if (run->offset + ((uint64_t)run->n << l->header->cluster_bits) <= file_end) {
            continue;
        }
        inside = run->offset < file_end ? (file_end - run->offset) >> l->header->cluster_bits : 0;
        for (uint64_t k = inside; k < run->n; k++) {
            uint64_t offset = run->offset + k * size;
            uint32_t index = run->index + (uint32_t)k;
            uint64_t stored = stored_length(l, index);

            if (stored && offset + stored > file_end) {
                add(l, offset < file_end ? QCOW2_UNREADABLE_DATA_CUT : QCOW2_UNREADABLE_BEYOND_END, index, offset,
                    (uint32_t)size);
            }
        }
    }
}

static void look_at_extents(const Look *l, const Qcow2L2Result *contents)
{
    uint64_t file_end = l->finder->file_end;

    for (guint i = 0; i < contents->extents->len; i++) {
        const Qcow2Extent *e = &g_array_index(contents->extents, Qcow2Extent, i);

        if (e->compressed && (e->offset >= file_end || file_end - e->offset < e->length)) {
            add(l, QCOW2_UNREADABLE_COMPRESSED_CUT, e->index, e->offset, e->length);
        }
    }
}

/* What only programs that read the guest's disk look at. */
static void look_at_each(const Look *l)
{
    const Qcow2HeaderFields *h = l->header;
    uint64_t l1_index = (l->table->slot - h->l1_table_offset) / 8; /* there are no snapshots where it is needed */

    for (uint32_t i = 0; i < UINT32_C(1) << h->l2_bits; i++) {
        uint64_t entry = entry_at(l, i), offset = entry & QCOW2_OFFSET_MASK;

        if (!entry || (entry & QCOW2_OFLAG_COMPRESSED)) {
            continue;
        }
        if (h->version < 3 && (entry & QCOW2_OFLAG_ZERO) && offset % h->cluster_size == 0) {
            add(l, QCOW2_UNREADABLE_ZERO_IN_V2, i, 0, 0);
        } else if (qcow2_has_data_file(h) && l->table->active && (offset || (entry & QCOW2_OFLAG_COPIED)) &&
                   offset % h->cluster_size == 0 && offset != guest_offset(l, l1_index, i)) {
            add(l, QCOW2_UNREADABLE_OFF_PLACE, i, 0, 0);
        }
    }
}

static bool look_at_table(void *opaque, GArray *items, const Qcow2TableRef *table, const uint8_t *bytes,
                          const Qcow2L2Result *contents)
{
    Qcow2UnreadableFinder *f = opaque;
    const Look look = {.finder = f, .items = items, .header = f->header, .table = table, .bytes = bytes};

    look_at_faults(&look, contents);
    if (!qcow2_has_data_file(look.header)) {
        look_at_runs(&look, contents);
        look_at_extents(&look, contents);
    }
    if (f->looks_at_each) {
        look_at_each(&look);
    }
    return true;
}

void qcow2_unreadable_add_compressed(Qcow2UnreadableFinder *f, unsigned worker, Qcow2UnreadableReason reason,
                                     const Qcow2TableRef *table, const Qcow2Extent *extent)
{
    const Look look = {.finder = f, .items = f->found.items[worker], .header = f->header, .table = table};

    assert(reason >= QCOW2_UNREADABLE_NOT_READ);
    add(&look, reason, extent->index, extent->offset, extent->length);
}

Qcow2UnreadableFinder *qcow2_unreadable_new(const Qcow2Image *image)
{
    Qcow2UnreadableFinder *f = g_new0(Qcow2UnreadableFinder, 1);

    f->header = &image->header;
    f->image = image;
    f->file_end = qcow2_file_end(image->source->length);
    f->looks_at_each = f->header->version < 3 || qcow2_has_data_file(f->header);
    qcow2_collect_init(&f->found, look_at_table, sizeof(Qcow2Unreadable), f);
    return f;
}

void qcow2_unreadable_free(Qcow2UnreadableFinder *f)
{
    if (f) {
        qcow2_collect_clear(&f->found);
        g_free(f);
    }
}

const Qcow2TableVisitor *qcow2_unreadable_visitor(const Qcow2UnreadableFinder *f)
{
    return &f->found.visitor;
}

static int compare_places(const void *a, const void *b)
{
    const Qcow2Unreadable *x = a, *y = b;

    return x->slot != y->slot ? (x->slot > y->slot) - (x->slot < y->slot)
                              : (x->index > y->index) - (x->index < y->index);
}

/* What several passes over a table have added may belong together. */
static void join_neighbours(GArray *items)
{
    guint n = 0;

    for (guint i = 0; i < items->len; i++) {
        const Qcow2Unreadable *item = &g_array_index(items, Qcow2Unreadable, i);
        Qcow2Unreadable *last = n ? &g_array_index(items, Qcow2Unreadable, n - 1) : NULL;

        if (last && continues(last, item)) {
            last->n += item->n;
        } else {
            g_array_index(items, Qcow2Unreadable, n++) = *item;
        }
    }
    g_array_set_size(items, n);
}

GArray *qcow2_unreadable_finish(Qcow2UnreadableFinder *f, uint64_t *more)
{
    GArray *all = g_array_new(FALSE, FALSE, sizeof(Qcow2Unreadable));

    qcow2_collect_take(&f->found, all);
    *more = f->more;
    g_array_sort(all, compare_places);
    join_neighbours(all);
    return all;
}

/* ---- notes ---- */

static const char *reason_text(Qcow2UnreadableReason reason)
{
    return reason == QCOW2_UNREADABLE_ZERO_IN_V2
               ? "a cluster that reads as zeros is not possible in version 2"
               : "the offset in the external data file is not that of the guest's disk";
}

const char *qcow2_compressed_problem(const Qcow2HeaderFields *h, Qcow2UnreadableReason reason)
{
    switch (reason) {
    case QCOW2_UNREADABLE_NOT_READ:
        return "the file cannot be read there";
    case QCOW2_UNREADABLE_ZEROS:
        return "there are zeros in its place";
    case QCOW2_UNREADABLE_SHORT:
        return "it is less than a cluster";
    case QCOW2_UNREADABLE_OTHER_FORMAT:
        return h->incompatible_features & QCOW2_INCOMPAT_COMPRESSION ? "it is zlib data, and the header says zstd"
                                                                     : "it is zstd data, and the header says zlib";
    default:
        assert(reason == QCOW2_UNREADABLE_INVALID);
        return h->incompatible_features & QCOW2_INCOMPAT_COMPRESSION ? "it is no valid zstd data"
                                                                     : "it is no valid zlib data";
    }
}

static Qcow2Finding finding_of(const Qcow2HeaderFields *h, const Qcow2Unreadable *u)
{
    switch (u->reason) {
    case QCOW2_UNREADABLE_ZERO_IN_V2:
    case QCOW2_UNREADABLE_OFF_PLACE:
        return (Qcow2Finding){QCOW2_FINDING_GUEST_READ_FAILS, .texts = {reason_text(u->reason)}};
    case QCOW2_UNREADABLE_COMPRESSED_CUT:
        return (Qcow2Finding){QCOW2_FINDING_COMPRESSED_CUT_OFF};
    case QCOW2_UNREADABLE_DATA_CUT:
        return (Qcow2Finding){QCOW2_FINDING_DATA_CUT_OFF};
    default:
        return (Qcow2Finding){QCOW2_FINDING_COMPRESSED_DAMAGED, .texts = {qcow2_compressed_problem(h, u->reason)}};
    }
}

const Qcow2Tree *qcow2_unreadable_location(const Qcow2Check *c, const Qcow2Unreadable *u, Qcow2Location *location)
{
    const Qcow2HeaderFields *h = &c->image->header;
    uint64_t l1_index;
    const Qcow2Tree *tree = qcow2_regions_find_tree(&c->regions, u->slot, &l1_index);
    const char *snapshot;
    Qcow2Location l1_entry;

    if (!tree) {
        return NULL;
    }
    snapshot = tree->snapshot == QCOW2_TREE_ACTIVE
                   ? NULL
                   : g_array_index(c->snapshots.items, Qcow2Snapshot, tree->snapshot).name;
    l1_entry = qcow2_location_l1_entry(h, snapshot, u->slot, l1_index, u->table);
    *location = qcow2_location_l2_entry(h, &l1_entry, l1_index, u->index);
    if (location->guest_size) {
        qcow2_location_set_guest(location, h, location->guest_offset, (uint64_t)u->n << h->cluster_bits);
    }
    if (!is_compressed(u) || u->n == 1) {
        location->cluster_offset = u->offset;
        location->cluster_size = (uint64_t)u->length * u->n;
    }
    return tree;
}

void qcow2_unreadable_note(Qcow2Check *c, const GArray *ranges)
{
    for (guint i = 0; i < ranges->len; i++) {
        const Qcow2Unreadable *u = &g_array_index(ranges, Qcow2Unreadable, i);
        Qcow2Finding finding;

        if (u->reason > QCOW2_UNREADABLE_BEYOND_END) {
            finding = finding_of(&c->image->header, u);
            if (qcow2_unreadable_location(c, u, &finding.location)) {
                qcow2_collector_add(c->collector, &finding);
            }
        }
    }
}
