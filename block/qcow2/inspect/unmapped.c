/*
 * Data that nothing uses and no reference count covers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/unmapped.h"

#include <string.h>

#include "block/qcow2/format/format.h"
#include "util/number.h"

#define MAX_PROBES (1u << 16) /* questions to the file system */
#define MAX_LOOKS  512u       /* at what is there; the rest is taken for data */
#define LOOK_BYTES 4096u
#define FEW        16u /* bytes of a bitmap that are neither all zeros nor all ones */

/* ---- what is left behind by tables and bitmaps that were freed, which loses nothing ---- */

/* An entry of an L1, L2 or bitmap table, or of the refcount table; of a compressed cluster no more can be told. */
static bool may_be_entry(uint64_t entry, const Qcow2HeaderFields *h, uint64_t length)
{
    uint64_t offset = entry & QCOW2_OFFSET_MASK;

    if (entry & QCOW2_OFLAG_COMPRESSED) {
        return !(entry & QCOW2_OFLAG_COPIED) && (entry & ((UINT64_C(1) << (70 - h->cluster_bits)) - 1)) < length;
    }
    return !(entry & QCOW2_L2_RESERVED) && offset % h->cluster_size == 0 && offset < length;
}

static bool is_old_table(const uint8_t *bytes, size_t size, const Qcow2HeaderFields *h, uint64_t length)
{
    for (size_t i = 0; i < size; i += 8) {
        if (!may_be_entry(load_be64(bytes + i), h, length)) {
            return false;
        }
    }
    return true;
}

static bool is_old_bitmap(const uint8_t *bytes, size_t size)
{
    size_t other = 0;

    for (size_t i = 0; i < size; i++) {
        other += bytes[i] != 0 && bytes[i] != 0xff;
    }
    return other <= FEW;
}

static bool is_old_bitmap_directory(const uint8_t *bytes, const Qcow2HeaderFields *h, uint64_t length)
{
    Qcow2DiskBitmapEntry d;
    uint64_t table;

    memcpy(&d, bytes, sizeof(d));
    table = GUINT64_FROM_BE(d.table_offset);
    return table && table % h->cluster_size == 0 && table < length && d.table_size && !d.extra_data_size &&
           d.type == QCOW2_BITMAP_TYPE_DIRTY_TRACKING && d.granularity_bits >= QCOW2_MIN_BITMAP_GRANULARITY_BITS &&
           d.granularity_bits <= QCOW2_MAX_BITMAP_GRANULARITY_BITS;
}

static bool is_old_snapshot_table(const uint8_t *bytes, const Qcow2HeaderFields *h, uint64_t length)
{
    Qcow2DiskSnapshot d;
    uint64_t table;

    memcpy(&d, bytes, sizeof(d));
    table = GUINT64_FROM_BE(d.l1_table_offset);
    return table && table % h->cluster_size == 0 && table < length && d.l1_size && d.id_size &&
           GUINT32_FROM_BE(d.extra_data_size) <= QCOW2_MAX_SNAPSHOT_EXTRA;
}

/* Returns true if the cluster at @offset has what programs leave behind, or cannot be read. */
static bool is_left_behind(const Qcow2Check *c, uint64_t offset)
{
    const Qcow2HeaderFields *h = &c->image->header;
    uint64_t length = c->image->source->length;
    size_t size = MIN(h->cluster_size, LOOK_BYTES);
    uint8_t bytes[LOOK_BYTES];

    return block_source_read(c->image->source, bytes, size, offset) < 0 || is_old_table(bytes, size, h, length) ||
           is_old_bitmap(bytes, size) || is_old_bitmap_directory(bytes, h, length) ||
           is_old_snapshot_table(bytes, h, length);
}

/* The piece of computed counts that was found last: finding one takes a look at all levels of the map. */
typedef struct ComputedPiece {
    const Counters *counters; /* NULL: nothing is computed from @from on */
    uint64_t index;
    uint64_t from; /* it is the first piece at or behind this one */
    bool known;
} ComputedPiece;

static void find_computed(const Qcow2Check *c, uint64_t index, ComputedPiece *p)
{
    if (!p->known || index < p->from || (p->counters && index > p->index)) {
        *p = (ComputedPiece){.index = index, .from = index, .known = true};
        p->counters = refmap_next_piece(c->counting.refs, &p->index);
    }
}

/*
 * The number of clusters from @at on, at least 1, of which the same is to be said: *unused where both counts are 0. It
 * is not where the stored count is above 0 or unknown, and then nobody has to look at what is computed.
 */
static uint64_t next_stretch(const Qcow2Check *c, uint64_t at, ComputedPiece *p, bool *unused)
{
    uint64_t index = at >> COUNTERS_PER_PIECE_BITS, end = (index + 1) << COUNTERS_PER_PIECE_BITS;
    uint64_t stored_mask = (UINT64_C(1) << qcow2_stored_counts_piece_bits(c->stored)) - 1;
    uint64_t i = at & (COUNTERS_PER_PIECE - 1), k = at & stored_mask;
    const Counters *stored = qcow2_stored_counts_piece(c->stored, at);
    uint64_t count;

    end = MIN(end, (at | stored_mask) + 1);
    *unused = false;
    if (!stored) {
        return end - at;
    }
    end = at + counters_same(stored, k, k + (end - at), &count);
    if (count != 0) {
        return end - at;
    }
    find_computed(c, index, p);
    *unused = true;
    if (p->counters && p->index == index) {
        end = at + counters_same(p->counters, i, i + (end - at), &count);
        *unused = count == 0;
    }
    return end - at;
}

/* Adds what clusters [first, end) have of data; returns false when enough has been asked. */
static bool find_data(Qcow2Check *c, uint64_t first, uint64_t end, unsigned *probes)
{
    const Qcow2HeaderFields *h = &c->image->header;
    BlockSource *source = c->image->source;

    while (first < end) {
        uint64_t data;

        if (++*probes > MAX_PROBES) {
            return false;
        }
        data = source->ops->next_data(source, first << h->cluster_bits);
        if (data >= end << h->cluster_bits || data >= source->length) {
            return true;
        }
        first = data >> h->cluster_bits;
        if (*probes <= MAX_LOOKS && is_left_behind(c, first << h->cluster_bits)) {
            first++;
            continue;
        }
        qcow2_collector_add(
            c->collector, &(Qcow2Finding){QCOW2_FINDING_UNMAPPED_DATA,
                                          .location = qcow2_location_range(IMAGE_CHECK_STRUCTURE_NONE,
                                                                           first << h->cluster_bits, h->cluster_size)});
        first++;
    }
    return true;
}

void qcow2_find_unmapped_data(Qcow2Check *c)
{
    uint64_t clusters = DIV_ROUND_UP(c->image->source->length, c->image->header.cluster_size);
    ComputedPiece piece = {0};
    unsigned probes = 0;

    for (uint64_t at = 0, n; c->image->source->ops->next_data && at < clusters; at += n) {
        bool unused;

        n = MIN(next_stretch(c, at, &piece, &unused), clusters - at);
        if (unused && !find_data(c, at, at + n, &probes)) {
            return;
        }
    }
}
