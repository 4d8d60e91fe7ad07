/*
 * Surplus: stored counts that are greater than the number of references.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/evidence-surplus.h"

#define LONG_RANGE (UINT64_C(1) << 20) /* clusters; more than an L2 table maps */

/* The references to @cluster, and to how many clusters from it on, at most @n, there are as many. */
static uint64_t same_references(const RefMap *refs, uint64_t cluster, uint64_t n, uint64_t *references)
{
    uint64_t index = cluster >> COUNTERS_PER_PIECE_BITS;
    const Counters *piece = refmap_next_piece(refs, &index);
    uint64_t from = piece ? index << COUNTERS_PER_PIECE_BITS : UINT64_MAX;
    size_t i = cluster & (COUNTERS_PER_PIECE - 1);

    if (from > cluster) {
        *references = 0;
        return MIN(n, from - cluster);
    }
    return counters_same(piece, i, i + MIN(n, COUNTERS_PER_PIECE - i), references);
}

/*
 * The same of stored counts; an unknown one is 0. Only where many clusters are asked for is it worth a look at which
 * blocks there are: that may take as long as the refcount table.
 */
static uint64_t same_stored(const Qcow2StoredCounts *counts, uint64_t cluster, uint64_t n, uint64_t *stored)
{
    uint64_t mask = (UINT64_C(1) << qcow2_stored_counts_piece_bits(counts)) - 1;
    uint64_t from = n > LONG_RANGE ? qcow2_stored_counts_next(counts, cluster) : cluster;
    const Counters *piece;
    size_t i = cluster & mask;

    *stored = 0;
    if (from > cluster) {
        return MIN(n, from - cluster);
    }
    piece = qcow2_stored_counts_piece(counts, cluster);
    n = MIN(n, mask + 1 - i);
    return piece ? counters_same(piece, i, i + n, stored) : n;
}

bool qcow2_next_surplus(const Qcow2Check *c, uint64_t at, uint64_t end, Qcow2Surplus *s)
{
    end = MIN(end, refmap_clusters(c->counting.refs));
    while (at < end) {
        uint64_t n = same_stored(c->stored, at, end - at, &s->stored);

        if (s->stored) {
            n = same_references(c->counting.refs, at, n, &s->references);
        }
        if (s->stored && s->stored > s->references) {
            s->first = at;
            s->n = n;
            return true;
        }
        at += n;
    }
    return false;
}

uint64_t qcow2_count_surplus(const Qcow2Check *c, uint64_t first, uint64_t n)
{
    uint64_t count = 0, end = first + n;
    Qcow2Surplus s;

    for (uint64_t at = first; qcow2_next_surplus(c, at, end, &s); at = s.first + s.n) {
        count += s.n;
    }
    return count;
}

uint64_t qcow2_surplus_of(const Qcow2Check *c, uint64_t cluster)
{
    Qcow2Surplus s;

    return qcow2_next_surplus(c, cluster, cluster + 1, &s) ? s.stored - s.references : 0;
}
