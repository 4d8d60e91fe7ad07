/*
 * Collecting mappings: see block/qcow2/inspect/mappings.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/mappings.h"

#include <pthread.h>
#include <stdlib.h>

#include "block/io/prefetch.h"
#include "block/limits.h"

#define BATCH 1024u /* mappings that a thread collects before it hands them over */

typedef struct Batch {
    Qcow2MappingCollector *of;
    uint64_t step; /* what it was lately */
    size_t n;
    Mapping items[BATCH];
} Batch;

struct Qcow2MappingCollector {
    const Qcow2HeaderFields *header;
    const Qcow2Regions *regions;
    unsigned n;
    Batch *batches; /* one of each thread */
    Qcow2TableVisitor visitor;

    pthread_mutex_t lock; /* of what follows */
    Mappings mappings;
    size_t capacity;
};

static uint64_t l2_entries(const Qcow2HeaderFields *h)
{
    return UINT64_C(1) << h->l2_bits;
}

/* How many clusters of the guest @m is about. */
static uint64_t guest_clusters(const Qcow2HeaderFields *h, const Mapping *m)
{
    switch (m->kind) {
    case MAPPING_L2:
        return l2_entries(h);
    case MAPPING_COMPRESSED:
        return 1;
    default:
        return m->n;
    }
}

/* Returns true if a multiple of @step is among its guest clusters. */
static bool is_kept(const Qcow2HeaderFields *h, const Mapping *m, uint64_t step)
{
    return (-m->guest & (step - 1)) < guest_clusters(h, m);
}

/* Doubles the step, and keeps what has a place in it. */
static void thin_out(const Qcow2HeaderFields *h, Mappings *mappings)
{
    size_t kept = 0;

    mappings->step <<= 1;
    for (size_t i = 0; i < mappings->n; i++) {
        if (is_kept(h, &mappings->items[i], mappings->step)) {
            mappings->items[kept++] = mappings->items[i];
        }
    }
    mappings->n = kept;
}

/* Returns true if @next is the continuation of @m, which is lengthened then. */
static bool lengthen(Mapping *m, const Mapping *next)
{
    uint32_t n;

    if (m->kind != MAPPING_DATA || next->kind != MAPPING_DATA || m->tree != next->tree ||
        m->host + m->n != next->host || m->guest + m->n != next->guest || __builtin_add_overflow(m->n, next->n, &n)) {
        return false;
    }
    m->n = n;
    return true;
}

/* A batch fits in, and tells whether there are too many. False when memory is short. */
static bool make_room(Qcow2MappingCollector *c)
{
    size_t wanted = c->mappings.n + BATCH;
    Mapping *items;

    if (wanted <= c->capacity) {
        return true;
    }
    wanted = MIN(MAX(wanted, c->capacity * 2), LIMIT_MAPPINGS + BATCH);
    items = realloc(c->mappings.items, wanted * sizeof(*items));
    if (items) {
        c->mappings.items = items;
        c->capacity = wanted;
    }
    return items;
}

/*
 * What is there already has all that the step keeps, so when that is too much it is too much in the end, too: the step
 * is the least with which no more is left than is allowed.
 */
static bool hand_over(Batch *b)
{
    Qcow2MappingCollector *c = b->of;
    Mappings *mappings = &c->mappings;
    bool ok;

    pthread_mutex_lock(&c->lock);
    ok = make_room(c);
    for (size_t i = 0; ok && i < b->n; i++) {
        if (is_kept(c->header, &b->items[i], mappings->step)) {
            mappings->items[mappings->n++] = b->items[i];
        }
    }
    while (mappings->n > LIMIT_MAPPINGS) {
        thin_out(c->header, mappings);
    }
    b->step = mappings->step;
    pthread_mutex_unlock(&c->lock);
    b->n = 0;
    return ok;
}

static bool collect(Batch *b, const Mapping *m)
{
    if (!is_kept(b->of->header, m, b->step)) {
        return true;
    }
    b->items[b->n++] = *m;
    return b->n < BATCH || hand_over(b);
}

static bool collect_extent(Batch *b, const Mapping *table, const Qcow2Extent *extent)
{
    unsigned bits = b->of->header->cluster_bits;
    uint64_t first = extent->offset >> bits;
    Mapping m = {
        .host = first,
        .guest = table->guest + extent->index,
        .n = (uint32_t)(((extent->offset + extent->length - 1) >> bits) - first + 1),
        .tree = table->tree,
        .kind = MAPPING_COMPRESSED,
    };

    return !extent->compressed || collect(b, &m);
}

static bool collect_contents(Batch *b, const Mapping *table, const Qcow2L2Result *contents)
{
    for (uint32_t i = 0; i < contents->n_runs; i++) {
        const Qcow2Run *run = &contents->runs[i];
        Mapping m = {
            .host = run->offset >> b->of->header->cluster_bits,
            .guest = table->guest + run->index,
            .n = run->n,
            .tree = table->tree,
            .kind = MAPPING_DATA,
        };

        if (!collect(b, &m)) {
            return false;
        }
    }
    for (size_t i = 0; i < contents->extents->len; i++) {
        if (!collect_extent(b, table, &g_array_index(contents->extents, Qcow2Extent, i))) {
            return false;
        }
    }
    return true;
}

static bool collect_table(Batch *b, const Qcow2TableRef *ref, const Qcow2L2Result *contents)
{
    const Qcow2HeaderFields *h = b->of->header;
    uint64_t l1_index;
    const Qcow2Tree *tree = qcow2_regions_find_tree(b->of->regions, ref->slot, &l1_index);
    Mapping table = {.host = ref->offset >> h->cluster_bits, .n = 1, .kind = MAPPING_L2};

    if (!tree) {
        return true;
    }
    table.guest = l1_index << h->l2_bits;
    table.tree = (unsigned)(tree->snapshot + 1) & MAPPING_MAX_TREE;
    return collect(b, &table) && (qcow2_has_data_file(h) || collect_contents(b, &table, contents));
}

static bool visit(void *opaque, unsigned worker, const Qcow2TableRef *ref, const uint8_t *bytes,
                  const Qcow2L2Result *contents)
{
    const Qcow2MappingCollector *c = opaque;

    assert(worker < c->n);
    return collect_table(&c->batches[worker], ref, contents);
}

Qcow2MappingCollector *qcow2_mapping_collector_new(const Qcow2HeaderFields *header, const Qcow2Regions *regions,
                                                   unsigned workers)
{
    Qcow2MappingCollector *c = g_new0(Qcow2MappingCollector, 1);

    c->header = header;
    c->regions = regions;
    c->n = CLAMP(workers, 1, BLOCK_MAX_WORKERS);
    c->visitor = (Qcow2TableVisitor){visit, c};
    c->mappings.step = 1;
    pthread_mutex_init(&c->lock, NULL);
    c->batches = g_new(Batch, c->n);
    for (unsigned i = 0; i < c->n; i++) {
        c->batches[i].of = c;
        c->batches[i].step = 1;
        c->batches[i].n = 0;
    }
    return c;
}

void qcow2_mapping_collector_free(Qcow2MappingCollector *c)
{
    if (c) {
        mappings_clear(&c->mappings);
        pthread_mutex_destroy(&c->lock);
        g_free(c->batches);
        g_free(c);
    }
}

const Qcow2TableVisitor *qcow2_mapping_collector_visitor(const Qcow2MappingCollector *c)
{
    return &c->visitor;
}

/* ---- all of it, in order ---- */

/* Tables follow one another in the guest, and so may their data in the file. */
static void merge_neighbours(Mappings *mappings)
{
    size_t kept = 0;

    for (size_t i = 0; i < mappings->n; i++) {
        if (!kept || !lengthen(&mappings->items[kept - 1], &mappings->items[i])) {
            mappings->items[kept++] = mappings->items[i];
        }
    }
    mappings->n = kept;
}

bool qcow2_mapping_collector_finish(Qcow2MappingCollector *c, Mappings *mappings, GError **errp)
{
    bool ok = true;

    for (unsigned i = 0; i < c->n; i++) {
        ok = ok && hand_over(&c->batches[i]);
    }
    if (!ok) {
        *mappings = (Mappings){0};
        return qapi_set_out_of_memory(errp);
    }
    *mappings = c->mappings;
    c->mappings = (Mappings){.step = 1};
    c->capacity = 0;
    mappings_sort(mappings);
    merge_neighbours(mappings);
    return true;
}
