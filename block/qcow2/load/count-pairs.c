/*
 * Stored reference counts and another map of counts side by side.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/load/count-pairs.h"

#include <assert.h>

static const Counters no_counts;

static const Counters *next_piece(Qcow2CountPairs *p, uint64_t index)
{
    if (!p->next_known || (p->next && p->next_index < index)) {
        p->next_index = index;
        p->next = refmap_next_piece(p->other, &p->next_index);
        p->next_known = true;
    }
    return p->next;
}

bool qcow2_count_pairs_next(Qcow2CountPairs *p, uint64_t at, Qcow2CountStretch *s)
{
    uint64_t end = refmap_clusters(p->other);
    const Counters *other = next_piece(p, at >> COUNTERS_PER_PIECE_BITS);
    uint64_t other_from = other ? MAX(at, p->next_index << COUNTERS_PER_PIECE_BITS) : UINT64_MAX;
    uint64_t first = MIN(other_from, qcow2_stored_counts_next(p->stored, at));
    uint64_t stored_mask = (UINT64_C(1) << qcow2_stored_counts_piece_bits(p->stored)) - 1;

    if (first >= end) {
        return false;
    }
    /* so a stretch that ends with a stored piece ends with a piece of the other map at the latest */
    assert(stored_mask < COUNTERS_PER_PIECE);
    *s = (Qcow2CountStretch){
        .first = first,
        .n = (size_t)(MIN(end, (first | stored_mask) + 1) - first),
        .stored = qcow2_stored_counts_piece(p->stored, first),
        .stored_at = (size_t)(first & stored_mask),
        .other = other_from > first ? &no_counts : other,
        .other_at = (size_t)(first & (COUNTERS_PER_PIECE - 1)),
        .unused = MIN(end, other_from) - first,
    };
    return true;
}
