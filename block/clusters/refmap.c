/*
 * Reference counters: one counter a host cluster.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/clusters/refmap.h"

#include <assert.h>
#include <sched.h>

#include "util/number.h"

#define NODE_BITS  10
#define NODE_SLOTS (1u << NODE_BITS)

/* A node of the directory: of nodes, and at the lowest level of pieces. */
typedef struct Node {
    void *slots[NODE_SLOTS]; /* set once, atomically */
} Node;

typedef struct Piece {
    Counters counters;
    bool counting; /* atomic: a thread is at it. Held for a microsecond at most, so others spin */
} Piece;

struct RefMap {
    uint64_t clusters;   /* atomic */
    uint64_t several;    /* of a map of labels; 0: counts */
    unsigned levels;     /* of nodes above the pieces, at least 1 */
    uint64_t last_piece; /* the greatest index that the directory has a place for */
    void *root;          /* Node; set once, atomically */
};

RefMap *refmap_new(uint64_t clusters)
{
    RefMap *map = g_new0(RefMap, 1);
    uint64_t pieces = (clusters >> (COUNTERS_PER_PIECE_BITS - 1)) + 2; /* twice the length, rounded up */

    assert(clusters <= UINT64_C(1) << 55);
    map->clusters = clusters;
    map->levels = 1;
    while (map->levels * NODE_BITS < 64 && pieces >> (map->levels * NODE_BITS)) {
        map->levels++;
    }
    map->last_piece = UINT64_MAX >> (64 - MIN(map->levels * NODE_BITS, 64));
    return map;
}

RefMap *refmap_new_labels(uint64_t clusters, uint64_t several)
{
    RefMap *map = refmap_new(clusters);

    map->several = several;
    return map;
}

static void free_node(Node *node, unsigned levels)
{
    if (!node) {
        return;
    }
    for (unsigned i = 0; i < NODE_SLOTS; i++) {
        if (levels > 1) {
            free_node(node->slots[i], levels - 1);
        } else if (node->slots[i]) {
            counters_clear(&((Piece *)node->slots[i])->counters);
            g_free(node->slots[i]);
        }
    }
    g_free(node);
}

void refmap_free(RefMap *map)
{
    if (map) {
        free_node(map->root, map->levels);
        g_free(map);
    }
}

uint64_t refmap_clusters(const RefMap *map)
{
    return map->clusters;
}

/* Makes sure that cluster @end - 1 is in the map. */
static void grow(RefMap *map, uint64_t end)
{
    uint64_t clusters = __atomic_load_n(&map->clusters, __ATOMIC_RELAXED);

    while (end > clusters &&
           !__atomic_compare_exchange_n(&map->clusters, &clusters, end, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        continue;
    }
}

static unsigned slot_at(uint64_t index, unsigned level)
{
    return index >> (level * NODE_BITS) & (NODE_SLOTS - 1);
}

static Piece *find_piece(const RefMap *map, uint64_t index)
{
    void *at = index <= map->last_piece ? map->root : NULL;

    for (unsigned level = map->levels; at && level-- > 0;) {
        at = ((Node *)at)->slots[slot_at(index, level)];
    }
    return at;
}

/* What *@slot has, made of @size zeroed bytes when it has nothing; NULL when memory is short. */
static void *need(void **slot, size_t size)
{
    void *have = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
    void *made = have ? NULL : g_try_malloc0(size);

    if (made) {
        if (__atomic_compare_exchange_n(slot, &have, made, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
            return made;
        }
        g_free(made); /* another thread was faster */
    }
    return have;
}

static Piece *need_piece(RefMap *map, uint64_t index)
{
    void **at = &map->root;

    for (unsigned level = map->levels; level-- > 0;) {
        Node *node = need(at, sizeof(Node));

        if (!node) {
            return NULL;
        }
        at = &node->slots[slot_at(index, level)];
    }
    return need(at, sizeof(Piece));
}

static void lock_piece(Piece *piece)
{
    while (__atomic_exchange_n(&piece->counting, true, __ATOMIC_ACQUIRE)) {
        sched_yield();
    }
}

static void unlock_piece(Piece *piece)
{
    __atomic_store_n(&piece->counting, false, __ATOMIC_RELEASE);
}

static bool add_to_piece(const RefMap *map, Piece *piece, size_t first, size_t n, uint64_t weight)
{
    bool ok;

    lock_piece(piece);
    ok = map->several ? counters_join(&piece->counters, COUNTERS_PER_PIECE, first, n, weight, map->several)
                      : counters_add(&piece->counters, COUNTERS_PER_PIECE, first, n, weight);
    unlock_piece(piece);
    return ok;
}

static bool add_scattered_to_piece(const RefMap *map, Piece *piece, const uint16_t *at, size_t n, uint64_t weight)
{
    bool ok = true;

    lock_piece(piece);
    if (!map->several) {
        ok = counters_add_scattered(&piece->counters, COUNTERS_PER_PIECE, at, n, weight);
    }
    for (size_t i = 0; map->several && ok && i < n; i++) {
        ok = counters_join(&piece->counters, COUNTERS_PER_PIECE, at[i], 1, weight, map->several);
    }
    unlock_piece(piece);
    return ok;
}

bool refmap_add(RefMap *map, uint64_t first, uint64_t n, uint64_t weight)
{
    if (n && (first + n - 1) >> COUNTERS_PER_PIECE_BITS > map->last_piece) {
        return false;
    }
    grow(map, first + n);
    while (n > 0) {
        size_t in_piece = first & (COUNTERS_PER_PIECE - 1);
        size_t step = MIN(n, COUNTERS_PER_PIECE - in_piece);
        Piece *piece = need_piece(map, first >> COUNTERS_PER_PIECE_BITS);

        if (!piece || !add_to_piece(map, piece, in_piece, step, weight)) {
            return false;
        }
        first += step;
        n -= step;
    }
    return true;
}

bool refmap_add_scattered(RefMap *map, uint64_t index, const uint16_t *at, size_t n, uint64_t weight)
{
    Piece *piece = need_piece(map, index);
    uint16_t last = 0;

    if (!piece) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        last = MAX(last, at[i]);
    }
    grow(map, (index << COUNTERS_PER_PIECE_BITS) + last + 1);
    return add_scattered_to_piece(map, piece, at, n, weight);
}

bool refmap_subtract(RefMap *map, uint64_t cluster, uint64_t n)
{
    Piece *piece = find_piece(map, cluster >> COUNTERS_PER_PIECE_BITS);

    return !piece || counters_subtract(&piece->counters, COUNTERS_PER_PIECE, cluster & (COUNTERS_PER_PIECE - 1), n);
}

uint64_t refmap_get(const RefMap *map, uint64_t cluster)
{
    const Piece *piece = find_piece(map, cluster >> COUNTERS_PER_PIECE_BITS);

    return piece ? counters_get(&piece->counters, cluster & (COUNTERS_PER_PIECE - 1)) : 0;
}

Counters *refmap_piece(const RefMap *map, uint64_t index)
{
    Piece *piece = find_piece(map, index);

    return piece ? &piece->counters : NULL;
}

/* The first piece below @node at or behind *index, which is relative to @node. */
static Piece *next_below(const Node *node, unsigned level, uint64_t *index)
{
    uint64_t span = UINT64_C(1) << (level * NODE_BITS); /* pieces behind one slot */

    for (uint64_t slot = *index / span; slot < NODE_SLOTS; slot++) {
        uint64_t inside = *index > slot * span ? *index - slot * span : 0;
        Piece *piece = node->slots[slot];

        if (piece && level > 0) {
            piece = next_below(node->slots[slot], level - 1, &inside);
        }
        if (piece) {
            *index = slot * span + inside;
            return piece;
        }
    }
    return NULL;
}

Counters *refmap_next_piece(const RefMap *map, uint64_t *index)
{
    Piece *piece = map->root ? next_below(map->root, map->levels - 1, index) : NULL;

    return piece ? &piece->counters : NULL;
}

bool refmap_next_run(const RefMap *map, uint64_t at, uint64_t end, RefMapRun *run)
{
    uint64_t index = at >> COUNTERS_PER_PIECE_BITS;

    for (const Counters *piece; (piece = refmap_next_piece(map, &index)); index++) {
        uint64_t from = index << COUNTERS_PER_PIECE_BITS, to = MIN(end, from + COUNTERS_PER_PIECE);

        for (at = MAX(at, from); at < to; at += run->n) {
            run->first = at;
            run->n = counters_same(piece, at - from, to - from, &run->count);
            if (run->count) {
                return true;
            }
        }
        if (from >= end) {
            break;
        }
    }
    return false;
}
