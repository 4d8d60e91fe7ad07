/*
 * Copies tables that are lost.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/metadump/lost-tables.h"

#include "block/qcow2/inspect/evidence-candidates.h"
#include "block/qcow2/inspect/evidence-forms.h"
#include "block/qcow2/inspect/plausible.h"
#include "util/number.h"

typedef struct LostTables {
    Qcow2Copy *copy;
    const Qcow2Candidates *candidates;
} LostTables;

/* Returns true if nearly all clusters that @c names as an L2 table leak, or have lost a reference. */
static bool names_lost(const Qcow2Candidate *c)
{
    return c->may_be_l2 && c->named && c->surplus * UINT64_C(16) >= c->named * UINT64_C(15);
}

static bool is_l2(const Qcow2HeaderFields *h, const Qcow2Candidate *c, const uint8_t *bytes,
                  const Qcow2L2Result *contents, uint64_t length)
{
    bool possible = names_lost(c) && !contents->faults->len;

    for (size_t at = 0; possible && at < h->cluster_size; at += qcow2_l2_entry_size(h)) {
        possible = !qcow2_implausible_l2_entry(load_be64(bytes + at), h, length);
    }
    return possible;
}

static bool is_l1(const Qcow2HeaderFields *h, const Qcow2Candidate *c, const uint8_t *bytes, uint64_t length)
{
    bool possible = c->may_be_l1;

    for (size_t at = 0; possible && at < h->cluster_size; at += 8) {
        uint64_t word = load_be64(bytes + at);

        possible = !word || qcow2_may_be_l1_entry(word, h, length);
    }
    return possible;
}

static bool may_be_copied(const void *opaque, size_t i, const Qcow2Candidate *c)
{
    return !c->in_use && (names_lost(c) || c->may_be_l1);
}

static bool copy_candidate(void *opaque, size_t i, const uint8_t *bytes, const Qcow2L2Result *contents)
{
    const LostTables *l = opaque;
    const Qcow2Image *image = l->copy->check->image;
    const Qcow2HeaderFields *h = &image->header;
    const Qcow2Candidate *c = &g_array_index(l->candidates->items, Qcow2Candidate, i);
    bool table = is_l2(h, c, bytes, contents, image->source->length) || is_l1(h, c, bytes, image->source->length);

    return !table || qcow2_copy_bytes(l->copy, c->cluster << h->cluster_bits, bytes, h->cluster_size);
}

bool qcow2_copy_lost_tables(Qcow2Copy *copy)
{
    Qcow2Candidates candidates;
    LostTables l = {copy, &candidates};
    Qcow2CandidateVisitor visitor = {may_be_copied, copy_candidate, &l};
    bool ok = qcow2_find_candidates(copy->check, &candidates, NULL) &&
              qcow2_visit_candidates(copy->check, &candidates, &visitor);

    qcow2_candidates_clear(&candidates);
    return ok;
}
