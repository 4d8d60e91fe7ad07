/*
 * Lost L2 tables that share clusters with tables in use.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/evidence-sharing.h"

#include <pthread.h>

#include "block/io/prefetch.h"
#include "block/qcow2/inspect/evidence-surplus.h"
#include "util/search.h"

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
    GArray *samples; /* Sample, sorted by cluster */
    GArray *matches; /* Qcow2SharedPlace */
    pthread_mutex_t lock;
} Sharing;

/* ---- samples ---- */

static void add_sample(Sharing *s, const Sample *sample)
{
    pthread_mutex_lock(&s->lock);
    if (s->samples->len < MAX_SAMPLES) {
        g_array_append_val(s->samples, *sample);
    }
    pthread_mutex_unlock(&s->lock);
}

/* Takes samples of one run, @left at most; returns how many are left. */
static unsigned sample_run(Sharing *s, size_t candidate, const Qcow2Run *run, unsigned left)
{
    uint64_t first = run->offset >> s->check->image->header.cluster_bits;
    Qcow2Surplus surplus;

    for (uint64_t at = first; left && qcow2_next_surplus(s->check, at, first + run->n, &surplus);
         at = surplus.first + surplus.n) {
        if (surplus.references) {
            add_sample(s, &(Sample){surplus.first, candidate, run->index + (uint32_t)(surplus.first - first)});
            left--;
        }
    }
    return left;
}

static bool take_samples(void *opaque, size_t i, const uint8_t *bytes, const Qcow2L2Result *contents)
{
    Sharing *s = opaque;
    const Qcow2Candidate *c = &g_array_index(s->candidates->items, Qcow2Candidate, i);
    unsigned left = SAMPLES_EACH;

    for (uint32_t k = 0; c->may_be_l2 && !c->in_use && left && k < contents->n_runs; k++) {
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
    return (x->candidate > y->candidate) - (x->candidate < y->candidate);
}

static void sort_samples(GArray *samples)
{
    guint kept = 0, alike = 0;

    g_array_sort(samples, compare_samples);
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
    Qcow2SharedPlace match = {.candidate = candidate};
    const Qcow2Tree *tree = qcow2_regions_find_tree(&s->check->regions, slot, &match.index);

    if (tree) {
        match.tree = tree->snapshot;
        pthread_mutex_lock(&s->lock);
        if (s->matches->len < MAX_MATCHES) {
            g_array_append_val(s->matches, match);
        }
        pthread_mutex_unlock(&s->lock);
    }
}

static bool match_table(void *state, const Qcow2TableRef *table, const uint8_t *bytes, const Qcow2L2Result *contents)
{
    Sharing *s = state;
    unsigned bits = s->check->image->header.cluster_bits;

    for (uint32_t k = 0; k < contents->n_runs; k++) {
        const Qcow2Run *run = &contents->runs[k];
        uint64_t first = run->offset >> bits;

        for (size_t i = ARRAY_FIRST_NOT_BELOW(s->samples, Sample, cluster, first); i < s->samples->len; i++) {
            const Sample *sample = &g_array_index(s->samples, Sample, i);

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

/* Leaves one match for each candidate, and none where there are several indexes. */
static void keep_certain(GArray *matches)
{
    guint kept = 0, i = 0;

    g_array_sort(matches, compare_matches);
    while (i < matches->len) {
        Qcow2SharedPlace first = g_array_index(matches, Qcow2SharedPlace, i);
        bool certain = true;

        for (; i < matches->len && g_array_index(matches, Qcow2SharedPlace, i).candidate == first.candidate; i++) {
            certain = certain && g_array_index(matches, Qcow2SharedPlace, i).index == first.index;
        }
        if (certain) {
            g_array_index(matches, Qcow2SharedPlace, kept++) = first;
        }
    }
    g_array_set_size(matches, kept);
}

static bool find_matches(Sharing *s, GError **errp)
{
    void *states[BLOCK_MAX_WORKERS];
    Qcow2TableVisitor visitor = {match_table, states};

    for (unsigned i = 0; i < BLOCK_MAX_WORKERS; i++) {
        states[i] = s;
    }
    return qcow2_walk_visit(s->check->walk, &visitor, errp);
}

GArray *qcow2_find_sharing(Qcow2Check *check, const Qcow2Candidates *candidates, GError **errp)
{
    Sharing s = {.check = check, .candidates = candidates};
    Qcow2CandidateVisitor visitor = {take_samples, &s};
    bool ok;

    s.samples = g_array_new(FALSE, FALSE, sizeof(Sample));
    s.matches = g_array_new(FALSE, FALSE, sizeof(Qcow2SharedPlace));
    pthread_mutex_init(&s.lock, NULL);
    ok = qcow2_visit_candidates(check, candidates, &visitor) || qapi_set_out_of_memory(errp);
    sort_samples(s.samples);
    ok = ok && (!s.samples->len || find_matches(&s, errp));
    keep_certain(s.matches);
    g_array_unref(s.samples);
    pthread_mutex_destroy(&s.lock);
    if (!ok) {
        g_clear_pointer(&s.matches, g_array_unref);
    }
    return s.matches;
}
