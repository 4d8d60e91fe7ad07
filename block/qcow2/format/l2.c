/*
 * One L2 table: its bytes to runs, extents and faults.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/format/l2.h"

#include <assert.h>

#include "block/qcow2/format/format.h"
#include "util/number.h"

typedef struct Decoder {
    const Qcow2HeaderFields *header;
    const uint8_t *table;
    uint32_t n;          /* entries */
    unsigned entry_size; /* bytes */
    unsigned cluster_bits;
    uint64_t cluster_size;
    bool extended;
    bool data_file;
    uint64_t unusual; /* bits that no plain aligned entry has */
    uint64_t next;    /* host offset that would continue the last cluster; 0 = none yet */
    Qcow2L2Result *result;
} Decoder;

Qcow2L2Result *qcow2_l2_result_new(const Qcow2HeaderFields *h)
{
    Qcow2L2Result *r = g_new0(Qcow2L2Result, 1);

    r->runs = g_try_new(Qcow2Run, UINT64_C(1) << h->l2_bits);
    if (!r->runs) {
        g_free(r);
        return NULL;
    }
    r->extents = g_array_new(FALSE, FALSE, sizeof(Qcow2Extent));
    r->faults = g_array_new(FALSE, FALSE, sizeof(Qcow2L2Fault));
    return r;
}

void qcow2_l2_result_free(Qcow2L2Result *r)
{
    if (r) {
        g_free(r->runs);
        g_array_free(r->extents, TRUE);
        g_array_free(r->faults, TRUE);
        g_free(r);
    }
}

static inline uint64_t entry_at(const Decoder *d, uint32_t i)
{
    return load_be64(d->table + (size_t)i * d->entry_size);
}

/* Bit i: subcluster i is allocated; bit 32 + i: it reads as zeros. 0 without extended L2 entries. */
static inline uint64_t bitmap_at(const Decoder *d, uint32_t i)
{
    return d->extended ? load_be64(d->table + (size_t)i * 16 + 8) : 0;
}

static inline uint32_t allocated_subclusters(uint64_t bitmap)
{
    return (uint32_t)bitmap;
}

static bool bitmap_contradicts(uint64_t bitmap)
{
    return bitmap & bitmap >> QCOW2_SUBCLUSTERS & UINT32_MAX;
}

static void add_fault(Decoder *d, uint32_t index, ImageCheckFindingKind kind, uint64_t a, uint64_t b)
{
    Qcow2L2Fault fault = {.index = index, .kind = kind, .values = {a, b}};

    g_array_append_val(d->result->faults, fault);
}

/* Statistics of @n host clusters in a row from @offset on. */
static void account_clusters(Decoder *d, uint64_t offset, uint32_t n)
{
    d->result->allocated += n;
    d->result->fragmented += d->next && offset != d->next;
    d->next = offset + n * d->cluster_size;
}

Qcow2Extent qcow2_l2_compressed_extent(const Qcow2HeaderFields *h, uint64_t entry, uint32_t index)
{
    unsigned offset_bits = 70 - h->cluster_bits; /* x of docs/interop/qcow2-format.rst 6.1 */
    uint64_t offset = entry & ((UINT64_C(1) << offset_bits) - 1);
    uint64_t sectors = ((entry & ~(QCOW2_OFLAG_COMPRESSED | QCOW2_OFLAG_COPIED)) >> offset_bits) + 1;

    return (Qcow2Extent){
        .offset = offset,
        .length = (uint32_t)(sectors * QCOW2_SECTOR_SIZE - offset % QCOW2_SECTOR_SIZE),
        .index = index,
        .compressed = true,
    };
}

static void decode_compressed(Decoder *d, uint32_t i, uint64_t entry)
{
    Qcow2Extent extent = qcow2_l2_compressed_extent(d->header, entry, i);

    if (entry & QCOW2_OFLAG_COPIED) {
        add_fault(d, i, QCOW2_FINDING_COMPRESSED_COPIED, extent.offset, extent.length);
        entry &= ~QCOW2_OFLAG_COPIED;
    }
    if (d->data_file) {
        add_fault(d, i, QCOW2_FINDING_COMPRESSED_WITH_DATA_FILE, i, entry);
        return;
    }
    if (bitmap_at(d, i)) {
        add_fault(d, i, QCOW2_FINDING_COMPRESSED_WITH_SUBCLUSTERS, i, entry);
        return;
    }
    g_array_append_val(d->result->extents, extent);
    d->result->allocated++;
    d->result->compressed++;
    d->result->fragmented++;
}

static void decode_unaligned(Decoder *d, uint32_t i, uint64_t entry, uint64_t offset)
{
    Qcow2Extent extent = {.offset = offset, .length = (uint32_t)d->cluster_size, .index = i};
    bool has_data = d->extended ? allocated_subclusters(bitmap_at(d, i)) != 0 : !(entry & QCOW2_OFLAG_ZERO);

    add_fault(d, i, has_data ? QCOW2_FINDING_DATA_UNALIGNED : QCOW2_FINDING_PREALLOCATED_UNALIGNED, offset,
              d->cluster_size);
    g_array_append_val(d->result->extents, extent);
    account_clusters(d, offset, 1);
}

static void add_run(Decoder *d, uint32_t i, uint32_t n, uint64_t entry)
{
    Qcow2Run *run = &d->result->runs[d->result->n_runs++];

    *run = (Qcow2Run){
        .offset = entry & QCOW2_OFFSET_MASK,
        .index = i,
        .n = n,
        .copied = entry & QCOW2_OFLAG_COPIED,
    };
    account_clusters(d, run->offset, n);
}

/* An entry that the fast path leaves aside. docs/interop/check-behaviour.rst 3.4, in its order. */
static void decode_unusual(Decoder *d, uint32_t i, uint64_t entry)
{
    uint64_t offset = entry & QCOW2_OFFSET_MASK;
    uint64_t bitmap = bitmap_at(d, i);

    if (entry & QCOW2_OFLAG_COMPRESSED) {
        decode_compressed(d, i, entry);
        return;
    }
    if (entry & QCOW2_L2_RESERVED) {
        add_fault(d, i, QCOW2_FINDING_L2_RESERVED_BITS, entry, 0);
    }
    if (!d->extended && (entry & QCOW2_OFLAG_ZERO) && !offset) {
        return; /* plain zero */
    }
    if (!offset && !(d->data_file && (entry & QCOW2_OFLAG_COPIED))) {
        if (allocated_subclusters(bitmap)) {
            add_fault(d, i, QCOW2_FINDING_UNALLOCATED_WITH_SUBCLUSTERS, 0, 0);
        }
        return;
    }
    if (bitmap_contradicts(bitmap)) {
        add_fault(d, i, QCOW2_FINDING_SUBCLUSTERS_CONTRADICT, offset, d->cluster_size);
    }
    if (offset % d->cluster_size) {
        decode_unaligned(d, i, entry, offset);
    } else {
        add_run(d, i, 1, entry);
    }
}

/* The first j in [i, end) whose entry is not @expected + (j - i) << cluster_bits, or @end. No extended entries. */
static uint32_t plain_run_end(const Decoder *d, uint32_t i, uint32_t end, uint64_t expected)
{
    const uint8_t *p = d->table + (size_t)i * 8;

    /* eight at a time: one branch, and nothing in it waits for anything else */
    for (; i + 8 <= end; i += 8, p += 64, expected += 8 * d->cluster_size) {
        uint64_t differing = 0;

        for (unsigned k = 0; k < 8; k++) {
            differing |= load_be64(p + (size_t)k * 8) ^ (expected + k * d->cluster_size);
        }
        if (differing) {
            break;
        }
    }
    while (i < end && load_be64(p) == expected) {
        i++;
        p += 8;
        expected += d->cluster_size;
    }
    return i;
}

/* The same for extended entries, whose bitmaps must make sense too. */
static uint32_t extended_run_end(const Decoder *d, uint32_t i, uint32_t end, uint64_t expected)
{
    while (i < end && entry_at(d, i) == expected && !bitmap_contradicts(bitmap_at(d, i))) {
        i++;
        expected += d->cluster_size;
    }
    return i;
}

/* The number of entries from @i on that are a run beginning with @entry, which is a usual one. */
static uint32_t run_length(const Decoder *d, uint32_t i, uint64_t entry)
{
    /* offsets that would carry into the reserved bits are no continuation */
    uint64_t room = (QCOW2_OFFSET_MASK - (entry & QCOW2_OFFSET_MASK)) >> d->cluster_bits;
    uint32_t end = i + 1 + (uint32_t)MIN(room, d->n - i - 1);
    uint64_t next = entry + d->cluster_size;

    return (d->extended ? extended_run_end(d, i + 1, end, next) : plain_run_end(d, i + 1, end, next)) - i;
}

static bool is_usual(const Decoder *d, uint32_t i, uint64_t entry)
{
    return !(entry & d->unusual) && (entry & QCOW2_OFFSET_MASK) && !bitmap_contradicts(bitmap_at(d, i));
}

void qcow2_l2_decode(const Qcow2HeaderFields *h, const uint8_t *table, Qcow2L2Result *result)
{
    Decoder d = {
        .header = h,
        .table = table,
        .n = UINT32_C(1) << h->l2_bits,
        .entry_size = qcow2_l2_entry_size(h),
        .cluster_bits = h->cluster_bits,
        .cluster_size = h->cluster_size,
        .extended = qcow2_has_extended_l2(h),
        .data_file = qcow2_has_data_file(h),
        .unusual = QCOW2_OFLAG_COMPRESSED | QCOW2_L2_RESERVED | (QCOW2_OFFSET_MASK & (h->cluster_size - 1)),
        .result = result,
    };

    result->n_runs = 0;
    g_array_set_size(result->extents, 0);
    g_array_set_size(result->faults, 0);
    result->allocated = result->compressed = result->fragmented = 0;

    assert((uint64_t)d.n * d.entry_size == h->cluster_size);
    for (uint32_t i = 0; i < d.n;) {
        uint64_t entry = entry_at(&d, i);
        uint32_t n = 1;

        if (is_usual(&d, i, entry)) {
            n = run_length(&d, i, entry);
            add_run(&d, i, n, entry);
        } else if (entry || d.extended) {
            decode_unusual(&d, i, entry);
        }
        i += n;
    }
}

void qcow2_l2_visit_ranges(const Qcow2HeaderFields *h, const Qcow2L2Result *result, Qcow2VisitRange *visit,
                           void *opaque)
{
    for (uint32_t i = 0; i < result->n_runs; i++) {
        visit(opaque, result->runs[i].offset, (uint64_t)result->runs[i].n << h->cluster_bits);
    }
    for (guint i = 0; i < result->extents->len; i++) {
        const Qcow2Extent *e = &g_array_index(result->extents, Qcow2Extent, i);

        visit(opaque, e->offset, e->length);
    }
}
