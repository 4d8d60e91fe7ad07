/*
 * Counting for one thread, single clusters collected by piece.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <assert.h>

#include "block/clusters/refmap.h"

#define SHORT_RUN      4 /* clusters: longer ones are counted at once */
#define BUCKET_ENTRIES 120
#define MAX_BUCKETS    8192

/* Clusters of one piece that are still to be counted. */
typedef struct Bucket {
    uint64_t piece;
    bool used; /* named in RefMapWriter.used */
    uint16_t n;
    uint16_t at[BUCKET_ENTRIES]; /* counters in the piece */
} Bucket;

static_assert(COUNTERS_PER_PIECE <= UINT16_MAX + 1u, "a counter's index fits");

struct RefMapWriter {
    RefMap *map;
    uint64_t weight; /* of all that is in the buckets */
    unsigned mask;   /* number of buckets - 1; piece i goes to bucket i & mask */
    Bucket *buckets; /* NULL until the first short run */
    uint16_t *used;  /* buckets that may have something in them */
    unsigned n_used;
};

RefMapWriter *refmap_writer_new(RefMap *map)
{
    RefMapWriter *w = g_new0(RefMapWriter, 1);
    uint64_t pieces = (refmap_clusters(map) >> COUNTERS_PER_PIECE_BITS) + 1;
    unsigned buckets = 1;

    while (buckets < pieces && buckets < MAX_BUCKETS) {
        buckets *= 2;
    }
    assert(buckets <= UINT16_MAX + 1u);
    w->map = map;
    w->mask = buckets - 1;
    return w;
}

void refmap_writer_free(RefMapWriter *w)
{
    if (w) {
        g_free(w->buckets);
        g_free(w->used);
        g_free(w);
    }
}

static bool empty_bucket(RefMapWriter *w, Bucket *bucket)
{
    unsigned n = bucket->n;

    bucket->n = 0;
    return !n || refmap_add_scattered(w->map, bucket->piece, bucket->at, n, w->weight);
}

bool refmap_writer_flush(RefMapWriter *w)
{
    bool ok = true;

    while (w->n_used) {
        Bucket *bucket = &w->buckets[w->used[--w->n_used]];

        bucket->used = false;
        ok = empty_bucket(w, bucket) && ok;
    }
    return ok;
}

static bool add_single(RefMapWriter *w, uint64_t cluster)
{
    uint64_t piece = cluster >> COUNTERS_PER_PIECE_BITS;
    Bucket *bucket = &w->buckets[piece & w->mask];

    if ((bucket->n == BUCKET_ENTRIES || bucket->piece != piece) && !empty_bucket(w, bucket)) {
        return false;
    }
    if (!bucket->used) {
        bucket->used = true;
        w->used[w->n_used++] = (uint16_t)(piece & w->mask);
    }
    bucket->piece = piece;
    bucket->at[bucket->n++] = cluster & (COUNTERS_PER_PIECE - 1);
    return true;
}

static bool need_buckets(RefMapWriter *w)
{
    if (!w->buckets) {
        w->used = g_try_new(uint16_t, w->mask + 1);
        w->buckets = w->used ? g_try_new0(Bucket, w->mask + 1) : NULL;
    }
    return w->buckets;
}

bool refmap_writer_add(RefMapWriter *w, uint64_t first, uint64_t n, uint64_t weight)
{
    if (n > SHORT_RUN) {
        return refmap_add(w->map, first, n, weight);
    }
    if (!need_buckets(w)) {
        return false;
    }
    if (weight != w->weight) {
        if (!refmap_writer_flush(w)) {
            return false;
        }
        w->weight = weight;
    }
    for (uint64_t i = 0; i < n; i++) {
        if (!add_single(w, first + i)) {
            return false;
        }
    }
    return true;
}
