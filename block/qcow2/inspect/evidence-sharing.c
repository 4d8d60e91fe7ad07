/*
 * Lost L2 tables that share clusters with tables in use.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/evidence-sharing.h"

#include "block/qcow2/inspect/evidence-surplus.h"
#include "util/search.h"
#include "util/smallest.h"

#define SAMPLES_EACH 4          /* clusters of a table that are looked up */
#define MAX_SAMPLES  (1u << 20) /* of all tables */
#define MAX_MATCHES  (1u << 20)
#define MAX_ALIKE    8 /* samples of one cluster: hostile tables all map the same */

/* A cluster that a lost table maps and that something else refers to. */
typedef struct Sample {
    uint64_t cluster;
    uint64_t candidate;
    uint32_t entry; /* index in the lost table */
} Sample;

typedef struct Sharing {
    Qcow2Check *check;
    const Qcow2Candidates *candidates;
    Smallest samples; /* Sample, sorted by cluster */
    Smallest matches; /* Qcow2SharedPlace */
} Sharing;

/* ---- samples ---- */

/* Takes samples of one run, @left at most; returns how many are left. */
static unsigned sample_run(Sharing *s, size_t candidate, const Qcow2Run *run, unsigned left)
{
    uint64_t first = run->offset >> s->check->image->header.cluster_bits;
    Qcow2Surplus surplus;

    for (uint64_t at = first; left && qcow2_next_surplus(s->check, at, first + run->n, &surplus);
         at = surplus.first + surplus.n) {
        if (surplus.references) {
            smallest_add(&s->samples,
                         &(Sample){surplus.first, candidate, run->index + (uint32_t)(surplus.first - first)});
            left--;
        }
    }
    return left;
}

static bool is_sampled(const void *opaque, size_t i, const Qcow2Candidate *c)
{
    return c->may_be_l2 && !c->in_use;
}

static bool take_samples(void *opaque, size_t i, const uint8_t *bytes, const Qcow2L2Result *contents)
{
    Sharing *s = opaque;
    unsigned left = SAMPLES_EACH;

    for (uint32_t k = 0; left && k < contents->n_runs; k++) {
        left = sample_run(s, i, &contents->runs[k], left);
    }
    return true;
}

static int compare_samples(const void *a, const void *b)
{
    const Sample *x = a, *y = b;

    if (x->cluster != y->cluster) {
        return x->cluster < y->cluster ? -1 : 1;
    }
    if (x->candidate != y->candidate) {
        return x->candidate < y->candidate ? -1 : 1;
    }
    return (x->entry > y->entry) - (x->entry < y->entry);
}

static void drop_alike(GArray *samples)
{
    guint kept = 0, alike = 0;

    for (guint i = 0; i < samples->len; i++) {
        Sample sample = g_array_index(samples, Sample, i);

        alike = kept && g_array_index(samples, Sample, kept - 1).cluster == sample.cluster ? alike + 1 : 0;
        if (alike < MAX_ALIKE) {
            g_array_index(samples, Sample, kept++) = sample;
        }
    }
    g_array_set_size(samples, kept);
}

/* ---- matches ---- */

static void add_match(Sharing *s, uint64_t candidate, uint64_t slot)
{
    Qcow2SharedPlace match = {
        .candidate = candidate,
        .copied = g_array_index(s->candidates->items, Qcow2Candidate, candidate).copied,
    };
    const Qcow2Tree *tree = qcow2_regions_find_tree(&s->check->regions, slot, &match.index);

    if (tree) {
        match.tree = tree->snapshot;
        smallest_add(&s->matches, &match);
    }
}

static bool match_table(void *opaque, unsigned worker, const Qcow2TableRef *table, const uint8_t *bytes,
                        const Qcow2L2Result *contents)
{
    Sharing *s = opaque;
    unsigned bits = s->check->image->header.cluster_bits;

    for (uint32_t k = 0; k < contents->n_runs; k++) {
        const Qcow2Run *run = &contents->runs[k];
        uint64_t first = run->offset >> bits;

        for (size_t i = ARRAY_FIRST_NOT_BELOW(s->samples.items, Sample, cluster, first); i < s->samples.items->len;
             i++) {
            const Sample *sample = &g_array_index(s->samples.items, Sample, i);

            if (sample->cluster >= first + run->n) {
                break;
            }
            if (sample->entry == run->index + (sample->cluster - first)) {
                add_match(s, sample->candidate, table->slot);
            }
        }
    }
    return true;
}

/* Snapshots have much the same tables, so a cluster may have many users; what a walk shows depends on no thread. */
static int compare_matches(const void *a, const void *b)
{
    const Qcow2SharedPlace *x = a, *y = b;

    if (x->candidate != y->candidate) {
        return x->candidate < y->candidate ? -1 : 1;
    }
    if (x->index != y->index) {
        return x->index < y->index ? -1 : 1;
    }
    return (x->tree > y->tree) - (x->tree < y->tree);
}

/* Leaves one match for each candidate, and none where there are several indexes, or may be, as there are @more. */
static void keep_certain(GArray *matches, bool more)
{
    guint kept = 0, i = 0;

    while (i < matches->len) {
        Qcow2SharedPlace first = g_array_index(matches, Qcow2SharedPlace, i);
        bool certain = true;

        for (; i < matches->len && g_array_index(matches, Qcow2SharedPlace, i).candidate == first.candidate; i++) {
            certain = certain && g_array_index(matches, Qcow2SharedPlace, i).index == first.index;
        }
        if (certain && !(more && i == matches->len)) {
            g_array_index(matches, Qcow2SharedPlace, kept++) = first;
        }
    }
    g_array_set_size(matches, kept);
}

GArray *qcow2_find_sharing(Qcow2Check *check, const Qcow2Candidates *candidates, GError **errp)
{
    Sharing s = {.check = check, .candidates = candidates};
    const Qcow2CandidateVisitor visitor = {is_sampled, take_samples, &s};
    const Qcow2TableVisitor matcher = {match_table, &s};
    GArray *matches;
    bool ok;

    smallest_init(&s.samples, sizeof(Sample), MAX_SAMPLES, compare_samples);
    smallest_init(&s.matches, sizeof(Qcow2SharedPlace), MAX_MATCHES, compare_matches);
    ok = qcow2_visit_candidates(check, candidates, &visitor) || qapi_set_out_of_memory(errp);
    drop_alike(smallest_end(&s.samples));
    ok = ok && (!s.samples.items->len || qcow2_walk_visit(check->walk, &matcher, errp));
    matches = g_array_ref(smallest_end(&s.matches));
    keep_certain(matches, s.matches.more);
    smallest_clear(&s.samples);
    smallest_clear(&s.matches);
    if (!ok) {
        g_clear_pointer(&matches, g_array_unref);
    }
    return matches;
}

static int compare_indexes(const void *a, const void *b)
{
    const Qcow2SharedPlace *x = a, *y = b;

    return x->index != y->index ? (x->index > y->index) - (x->index < y->index) : y->copied - x->copied;
}

void qcow2_sort_sharing(GArray *sharing)
{
    g_array_sort(sharing, compare_indexes);
}

unsigned qcow2_count_sharing(const GArray *sharing, uint64_t index, bool copied)
{
    unsigned n = 0;

    for (size_t i = ARRAY_FIRST_NOT_BELOW(sharing, Qcow2SharedPlace, index, index); i < sharing->len && n < 2; i++) {
        const Qcow2SharedPlace *s = &g_array_index(sharing, Qcow2SharedPlace, i);

        if (s->index != index || (copied && !s->copied)) {
            break;
        }
        n++;
    }
    return n;
}
