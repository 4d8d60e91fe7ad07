/*
 * How much memory a check may need: see block/qcow2/check/memory.h, and docs/devel/security.rst for the numbers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/check/memory.h"

#include "block/clusters/counters.h"
#include "block/memory-plan.h"
#include "block/qcow2/format/format.h"
#include "util/number.h"

#define PROGRAM          (UINT64_C(8) << 20)   /* code, libraries, stacks as far as they are used */
#define FAULTS           (UINT64_C(48) << 20)  /* a million of them, kept for messages */
#define PER_TABLE_BYTE   24                    /* bytes for a byte of an L1 or bitmap table */
#define PER_CLUSTER_BYTE 8                     /* of a thread, for a byte of the table that it decodes */
#define THREAD           (UINT64_C(512) << 10) /* its stack as far as it is used, and counts while they are widened */
#define PER_STRUCTURE    1024                  /* a snapshot or bitmap, its step, its name */
#define COMPUTED_WIDTH   2                     /* bytes a counter */

static uint64_t add(uint64_t a, uint64_t b)
{
    uint64_t sum;

    return add_u64(a, b, &sum) ? sum : UINT64_MAX;
}

static uint64_t times(uint64_t a, uint64_t b)
{
    uint64_t product;

    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

static uint64_t computed_counts(const Qcow2Image *image)
{
    uint64_t clusters = image->source->length >> image->header.cluster_bits;

    return times((clusters >> COUNTERS_PER_PIECE_BITS) + 1, COUNTERS_PER_PIECE * COMPUTED_WIDTH + 128);
}

/* Stored counts are kept in a byte each, in 2 or in 8. */
static unsigned stored_width(const Qcow2HeaderFields *h)
{
    return h->refcount_order <= 3 ? 1 : h->refcount_order == 4 ? 2 : 8;
}

static uint64_t stored_counts(const Qcow2Image *image)
{
    const Qcow2RefcountEntries *table = &image->refcount_table;
    uint64_t blocks = 0;

    for (size_t i = 0; i < table->n; i++) {
        uint64_t offset = table->entries[i] & QCOW2_REFTABLE_OFFSET_MASK;

        if (offset) {
            blocks += offset < image->source->length;
        }
    }
    return add(times(table->n, 128),
               times(blocks, (UINT64_C(1) << qcow2_refblock_bits(&image->header)) * stored_width(&image->header)));
}

uint64_t qcow2_memory_table_entries(const Qcow2Image *image, const Qcow2Snapshots *snapshots,
                                    const Qcow2BitmapDirectory *bitmaps)
{
    uint64_t bytes = UINT64_C(8) * image->header.l1_size;

    for (size_t i = 0; i < snapshots->items->len; i++) {
        bytes += UINT64_C(8) * g_array_index(snapshots->items, Qcow2Snapshot, i).l1_size;
    }
    for (size_t i = 0; bitmaps->items && i < bitmaps->items->len; i++) {
        bytes += UINT64_C(8) * g_array_index(bitmaps->items, Qcow2Bitmap, i).table_size;
    }
    /* they may lie over one another, and each byte counts once: together they are never longer than the file */
    return MIN(bytes, image->source->length);
}

unsigned qcow2_memory_per_cluster(const Qcow2HeaderFields *h)
{
    return stored_width(h) + COMPUTED_WIDTH;
}

uint64_t qcow2_memory_base(const Qcow2Image *image, const Qcow2Snapshots *snapshots,
                           const Qcow2BitmapDirectory *bitmaps, unsigned workers)
{
    uint64_t structures = snapshots->items->len + (bitmaps->items ? bitmaps->items->len : 0);
    uint64_t bytes = PROGRAM + memory_plan()->in_flight;

    bytes = add(bytes, workers * (THREAD + image->header.cluster_size * PER_CLUSTER_BYTE));
    bytes = add(bytes, structures * PER_STRUCTURE);
    bytes = add(bytes, snapshots->table_length);
    return add(bytes, times(image->refcount_table.n, 2 * sizeof(uint64_t)));
}

uint64_t qcow2_memory_estimate(const Qcow2Image *image, const Qcow2Snapshots *snapshots,
                               const Qcow2BitmapDirectory *bitmaps, unsigned workers)
{
    uint64_t bytes = add(qcow2_memory_base(image, snapshots, bitmaps, workers), FAULTS);

    bytes = add(bytes, times(qcow2_memory_table_entries(image, snapshots, bitmaps), PER_TABLE_BYTE));
    bytes = add(bytes, stored_counts(image));
    return add(bytes, computed_counts(image));
}
