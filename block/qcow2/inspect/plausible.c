/*
 * Whether bytes look like the structure that an image says they are.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/plausible.h"

#include "block/qcow2/format/format.h"
#include "block/qcow2/format/l2.h"
#include "block/qcow2/load/refcount-blocks.h"
#include "util/number.h"

#define UNPACK_AT_ONCE 512
#define ACCIDENT       2 /* bits */
#define FEW            3 /* damaged entries: a small table may have no other ones */

/* What was counted in a table. */
typedef struct Tally {
    size_t used;  /* entries that are not 0 */
    size_t wrong; /* of these */
    size_t far;   /* wrong ones with an offset that is not above the length by accident */
} Tally;

/* The bits of offsets below @length. */
static uint64_t bits_in_use(uint64_t length)
{
    return length ? UINT64_MAX >> __builtin_clzll(length) : 0;
}

static bool is_far(uint64_t offset, uint64_t length)
{
    return __builtin_popcountll(offset & ~bits_in_use(length)) > ACCIDENT;
}

/* Text and numbers of a guest are mostly zeros too: what looks like a few damaged entries only has to be nearly right.
 */
static bool is_plausible(const Tally *t, bool shared)
{
    return t->wrong <= t->used / 2 || (!shared && !t->far && t->wrong <= FEW);
}

bool qcow2_plausible_table(const uint64_t *entries, size_t n, uint64_t reserved, uint64_t offset_mask,
                           const Qcow2HeaderFields *h, uint64_t length, bool shared)
{
    Tally t = {0};

    for (size_t i = 0; i < n; i++) {
        uint64_t offset = entries[i] & offset_mask;

        t.used += entries[i] != 0;
        t.wrong += (entries[i] & reserved) || offset % h->cluster_size || offset >= length;
        t.far += is_far(offset, length);
    }
    return is_plausible(&t, shared);
}

bool qcow2_implausible_entry(uint64_t entry, uint64_t reserved)
{
    return __builtin_popcountll(entry & reserved) > ACCIDENT;
}

static uint64_t compressed_offset(uint64_t entry, const Qcow2HeaderFields *h)
{
    unsigned offset_bits = 70 - h->cluster_bits; /* x of docs/interop/qcow2-format.rst 6.1 */

    return entry & ((UINT64_C(1) << offset_bits) - 1);
}

/* A compressed entry has no reserved bits: it is implausible if several of the bits above those in use are set. */
bool qcow2_implausible_l2_entry(uint64_t entry, const Qcow2HeaderFields *h, uint64_t length)
{
    if (entry & QCOW2_OFLAG_COMPRESSED) {
        return is_far(compressed_offset(entry, h), length);
    }
    return qcow2_implausible_entry(entry, QCOW2_L2_RESERVED);
}

static bool plausible_compressed(uint64_t entry, const Qcow2HeaderFields *h, uint64_t length)
{
    uint64_t offset = compressed_offset(entry, h);

    return !(entry & QCOW2_OFLAG_COPIED) && offset >= h->cluster_size && offset < length;
}

static bool plausible_l2_entry(uint64_t entry, const Qcow2HeaderFields *h, uint64_t length)
{
    uint64_t offset = entry & QCOW2_OFFSET_MASK;

    if (entry & QCOW2_OFLAG_COMPRESSED) {
        return plausible_compressed(entry, h, length);
    }
    /* a bit that should be clear is no sign of other data if the offset is one; that of a data file cannot be judged */
    if (qcow2_implausible_entry(entry, QCOW2_L2_RESERVED) || ((entry & QCOW2_L2_RESERVED) && !offset)) {
        return false;
    }
    return offset % h->cluster_size == 0 && (offset < length || qcow2_has_data_file(h));
}

bool qcow2_plausible_l2_table(const uint8_t *table, const Qcow2HeaderFields *h, uint64_t length, bool shared)
{
    unsigned entry_size = qcow2_l2_entry_size(h);
    Tally t = {0};

    for (uint32_t i = 0; i < UINT32_C(1) << h->l2_bits; i++) {
        uint64_t entry = load_be64(table + (size_t)i * entry_size);
        uint64_t bitmap = entry_size == 16 ? load_be64(table + (size_t)i * 16 + 8) : 0;

        bool compressed = entry & QCOW2_OFLAG_COMPRESSED;

        t.used += entry != 0 || bitmap != 0;
        t.wrong += !plausible_l2_entry(entry, h, length) || (bitmap & bitmap >> QCOW2_SUBCLUSTERS & UINT32_MAX);
        t.far += is_far(compressed ? compressed_offset(entry, h) : entry & QCOW2_OFFSET_MASK, length) &&
                 !qcow2_has_data_file(h);
    }
    return is_plausible(&t, shared);
}

bool qcow2_plausible_refcount_block(const uint8_t *block, const Qcow2HeaderFields *h, uint64_t first,
                                    const RefMap *computed)
{
    size_t n = (size_t)1 << qcow2_refblock_bits(h);
    uint64_t counts[UNPACK_AT_ONCE];
    uint64_t used = 0, wrong = 0;

    for (size_t at = 0; at < n; at += UNPACK_AT_ONCE) {
        size_t part = MIN(n - at, UNPACK_AT_ONCE);

        qcow2_unpack_refcounts(block, h->refcount_order, at, part, counts);
        for (size_t i = 0; i < part; i++) {
            uint64_t cluster = first + at + i;
            uint64_t references = cluster < refmap_clusters(computed) ? refmap_get(computed, cluster) : 0;
            /* leaks and lost counts are common, and nearly all of them are by one; text and numbers are neither */
            bool usual = counts[i] == references || (h->refcount_order >= 3 && counts[i] <= 2);

            used += counts[i] != 0;
            wrong += counts[i] != 0 && !usual;
        }
    }
    return wrong <= used / 2;
}
