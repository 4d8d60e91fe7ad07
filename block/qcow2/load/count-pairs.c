/*
 * Stored reference counts and another map of counts side by side.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/load/count-pairs.h"

#include <assert.h>

#define STEP 64 /* clusters whose counts are compared at once */

static const Counters no_counts;

/* The first cluster at or behind @at, before the end, that a piece of the other map has; else the end. */
static uint64_t next_other(Qcow2CountPairs *p, uint64_t at)
{
    uint64_t index = at >> COUNTERS_PER_PIECE_BITS;

    if (index == (p->end - 1) >> COUNTERS_PER_PIECE_BITS) {
        return refmap_piece(p->other, index) ? at : p->end;
    }
    if (at >= p->next_other) {
        bool found = refmap_next_piece(p->other, &index);

        p->next_other = found ? MIN(p->end, MAX(at, index << COUNTERS_PER_PIECE_BITS)) : p->end;
    }
    return p->next_other;
}

bool qcow2_count_pairs_next(Qcow2CountPairs *p, uint64_t at, Qcow2CountStretch *s)
{
    uint64_t stored_mask = (UINT64_C(1) << qcow2_stored_counts_piece_bits(p->stored)) - 1;
    uint64_t first = at < p->end ? qcow2_stored_counts_next(p->stored, at) : p->end;
    const Counters *other;

    if (first > at) {
        first = MIN(first, next_other(p, at));
    }
    if (first >= p->end) {
        return false;
    }
    /* so a stretch that ends with a stored piece ends with a piece of the other map at the latest */
    assert(stored_mask < COUNTERS_PER_PIECE);
    other = refmap_piece(p->other, first >> COUNTERS_PER_PIECE_BITS);
    *s = (Qcow2CountStretch){
        .first = first,
        .n = (size_t)(MIN(p->end, (first | stored_mask) + 1) - first),
        .stored = qcow2_stored_counts_piece(p->stored, first),
        .stored_at = (size_t)(first & stored_mask),
        .other = other ? other : &no_counts,
        .other_at = (size_t)(first & (COUNTERS_PER_PIECE - 1)),
    };
    return true;
}

uint64_t qcow2_count_pairs_unused(Qcow2CountPairs *p, const Qcow2CountStretch *s)
{
    return s->other == &no_counts ? next_other(p, s->first) - s->first : 0;
}

size_t qcow2_count_stretch_same(const Qcow2CountStretch *s, size_t i, uint64_t *stored, uint64_t *other)
{
    size_t begin = i, step, n;
    uint64_t count;

    assert(i < s->n);
    *stored = s->stored ? counters_get(s->stored, s->stored_at + i) : 0;
    *other = counters_get(s->other, s->other_at + i);
    /* in steps, as one side may be the same for long while the other changes */
    do {
        step = MIN(s->n - i, STEP);
        n = counters_same(s->other, s->other_at + i, s->other_at + i + step, &count);
        if (count != *other) {
            break;
        }
        if (s->stored) {
            n = counters_same(s->stored, s->stored_at + i, s->stored_at + i + n, &count);
            if (count != *stored) {
                break;
            }
        }
        i += n;
    } while (n == step && i < s->n);
    return i - begin;
}
