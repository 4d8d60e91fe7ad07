/*
 * Surplus: stored counts that are greater than the number of references.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/evidence-surplus.h"

#include "block/qcow2/load/count-pairs.h"

/* The first surplus of @stretch, whose stored counts are known. */
static bool find_surplus(const Qcow2CountStretch *stretch, Qcow2Surplus *s)
{
    for (size_t i = 0; (i += counters_mismatch(stretch->stored, stretch->stored_at + i, stretch->other,
                                               stretch->other_at + i, stretch->n - i)) < stretch->n;
         i += s->n) {
        s->first = stretch->first + i;
        s->n = qcow2_count_stretch_same(stretch, i, &s->stored, &s->references);
        if (s->stored > s->references) {
            return true;
        }
    }
    return false;
}

bool qcow2_next_surplus(const Qcow2Check *c, uint64_t at, uint64_t end, Qcow2Surplus *s)
{
    Qcow2CountPairs pairs = qcow2_count_pairs(c->stored, c->counting.refs, end);
    Qcow2CountStretch stretch;

    for (; qcow2_count_pairs_next(&pairs, at, &stretch); at = stretch.first + stretch.n) {
        if (stretch.stored && find_surplus(&stretch, s)) {
            return true;
        }
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
