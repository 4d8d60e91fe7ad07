/*
 * Collecting mappings: see block/qcow2-mappings.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2-mappings.h"

#include <stdlib.h>

#include "block/prefetch.h"
#include "util/number.h"

/* What one thread has collected. */
typedef struct Collected {
    const Qcow2MappingCollector *of;
    void *next_state;
    Mappings mappings;
    size_t capacity;
} Collected;

struct Qcow2MappingCollector {
    const Qcow2HeaderFields *header;
    const Qcow2Steps *steps;
    const Qcow2TableVisitor *next; /* or NULL */
    size_t limit;                  /* items of each thread */
    unsigned n;
    Collected collected[BLOCK_MAX_WORKERS];
    void *states[BLOCK_MAX_WORKERS];
    Qcow2TableVisitor visitor;
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

static bool is_kept(const Qcow2HeaderFields *h, const Mapping *m, uint64_t step)
{
    uint64_t multiple;

    return align_up_u64(m->guest, step, &multiple) && multiple - m->guest < guest_clusters(h, m);
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

/* True where @next is the continuation of @m, which is lengthened then. */
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

/* One more than is allowed in the end, so that what a thread leaves out would be left out in any case. */
#define CAPACITY_MAX (MAPPINGS_MAX + 1)

/* False when memory is short. */
static bool make_room(Collected *c)
{
    Mapping *items;

    if (c->mappings.n < c->capacity) {
        return true;
    }
    if (c->capacity == CAPACITY_MAX) {
        while (c->mappings.n > MAPPINGS_MAX) {
            thin_out(c->of->header, &c->mappings);
        }
        return true;
    }
    c->capacity = MIN(MAX(c->capacity * 2, 64), CAPACITY_MAX);
    items = realloc(c->mappings.items, c->capacity * sizeof(*items));
    if (!items) {
        return false;
    }
    c->mappings.items = items;
    return true;
}

static bool collect(Collected *c, const Mapping *m)
{
    if (!is_kept(c->of->header, m, c->mappings.step)) {
        return true;
    }
    if (!make_room(c)) {
        return false;
    }
    if (is_kept(c->of->header, m, c->mappings.step)) {
        c->mappings.items[c->mappings.n++] = *m;
    }
    return true;
}

static bool collect_extent(Collected *c, const Mapping *table, const Qcow2Extent *extent)
{
    unsigned bits = c->of->header->cluster_bits;
    uint64_t first = extent->offset >> bits;
    Mapping m = {
        .host = first,
        .guest = table->guest + extent->index,
        .n = (uint32_t)(((extent->offset + extent->length - 1) >> bits) - first + 1),
        .tree = table->tree,
        .kind = MAPPING_COMPRESSED,
    };

    return !extent->compressed || collect(c, &m);
}

static bool collect_contents(Collected *c, const Mapping *table, const Qcow2L2Result *contents)
{
    for (uint32_t i = 0; i < contents->n_runs; i++) {
        const Qcow2Run *run = &contents->runs[i];
        Mapping m = {
            .host = run->offset >> c->of->header->cluster_bits,
            .guest = table->guest + run->index,
            .n = run->n,
            .tree = table->tree,
            .kind = MAPPING_DATA,
        };

        if (!collect(c, &m)) {
            return false;
        }
    }
    for (size_t i = 0; i < contents->extents->len; i++) {
        if (!collect_extent(c, table, &g_array_index(contents->extents, Qcow2Extent, i))) {
            return false;
        }
    }
    return true;
}

static bool collect_table(Collected *c, const Qcow2TableRef *ref, const Qcow2L2Result *contents)
{
    const Qcow2HeaderFields *h = c->of->header;
    uint64_t l1_index;
    const Qcow2Tree *tree = qcow2_steps_find_tree(c->of->steps, ref->slot, &l1_index);
    Mapping table = {.host = ref->offset >> h->cluster_bits, .n = 1, .kind = MAPPING_L2};

    if (!tree) {
        return true;
    }
    table.guest = l1_index << h->l2_bits;
    table.tree = (unsigned)(tree->snapshot + 1);
    return collect(c, &table) && (qcow2_has_data_file(h) || collect_contents(c, &table, contents));
}

static bool visit(void *state, const Qcow2TableRef *ref, const uint8_t *bytes, const Qcow2L2Result *contents)
{
    Collected *c = state;
    const Qcow2TableVisitor *next = c->of->next;

    return (!next || next->visit(c->next_state, ref, bytes, contents)) && collect_table(c, ref, contents);
}

Qcow2MappingCollector *qcow2_mapping_collector_new(const Qcow2HeaderFields *header, const Qcow2Steps *steps,
                                                   unsigned workers, const Qcow2TableVisitor *next)
{
    Qcow2MappingCollector *c = g_new0(Qcow2MappingCollector, 1);

    c->header = header;
    c->steps = steps;
    c->next = next;
    c->n = CLAMP(workers, 1, BLOCK_MAX_WORKERS);
    c->visitor = (Qcow2TableVisitor){.visit = visit, .states = c->states};
    for (unsigned i = 0; i < c->n; i++) {
        c->collected[i] = (Collected){.of = c, .next_state = next ? next->states[i] : NULL, .mappings.step = 1};
        c->states[i] = &c->collected[i];
    }
    return c;
}

void qcow2_mapping_collector_free(Qcow2MappingCollector *c)
{
    if (c) {
        for (unsigned i = 0; i < c->n; i++) {
            mappings_clear(&c->collected[i].mappings);
        }
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

static size_t count_kept(const Qcow2MappingCollector *c, uint64_t step)
{
    size_t n = 0;

    for (unsigned i = 0; i < c->n; i++) {
        const Mappings *part = &c->collected[i].mappings;

        for (size_t k = 0; k < part->n; k++) {
            n += is_kept(c->header, &part->items[k], step);
        }
    }
    return n;
}

/* The least with which no more is left than is allowed. No thread has left out more than that does. */
static uint64_t choose_step(const Qcow2MappingCollector *c, size_t *n)
{
    uint64_t step = 1;

    for (unsigned i = 0; i < c->n; i++) {
        step = MAX(step, c->collected[i].mappings.step);
    }
    while ((*n = count_kept(c, step)) > MAPPINGS_MAX) {
        step <<= 1;
    }
    return step;
}

/* Frees what the threads have, one after the other. */
static void append_all(Qcow2MappingCollector *c, Mappings *mappings)
{
    for (unsigned i = 0; i < c->n; i++) {
        Mappings *part = &c->collected[i].mappings;

        for (size_t k = 0; k < part->n; k++) {
            if (is_kept(c->header, &part->items[k], mappings->step)) {
                mappings->items[mappings->n++] = part->items[k];
            }
        }
        mappings_clear(part);
    }
}

bool qcow2_mapping_collector_finish(Qcow2MappingCollector *c, Mappings *mappings, GError **errp)
{
    size_t n;

    *mappings = (Mappings){.step = choose_step(c, &n)};
    mappings->items = calloc(MAX(n, 1), sizeof(Mapping));
    if (!mappings->items) {
        return qapi_set_out_of_memory(errp);
    }
    append_all(c, mappings);
    if (!mappings_sort(mappings)) {
        mappings_clear(mappings);
        return qapi_set_out_of_memory(errp);
    }
    merge_neighbours(mappings);
    return true;
}
