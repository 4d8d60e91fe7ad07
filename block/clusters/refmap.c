/*
 * Reference counters: one counter a host cluster.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/clusters/refmap.h"

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
    uint64_t clusters;    /* atomic */
    bool plain;           /* all clusters are counted, and nobody asks how much memory that takes */
    uint64_t several;     /* of a map of labels; 0: counts */
    uint64_t first;       /* clusters below are not counted, */
    uint64_t end;         /* nor those from here on */
    MemoryBudget *budget; /* NULL: no limit */
    unsigned levels;      /* of nodes above the pieces, at least 1 */
    uint64_t last_piece;  /* the greatest index that the directory has a place for */
    void *root;           /* Node; set once, atomically */
};

RefMap *refmap_new(uint64_t clusters)
{
    RefMap *map = g_new0(RefMap, 1);
    uint64_t pieces = (clusters >> (COUNTERS_PER_PIECE_BITS - 1)) + 2; /* twice the length, rounded up */

    map->clusters = clusters;
    map->plain = true;
    map->end = UINT64_MAX;
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

    map->plain = false;
    map->several = several;
    return map;
}

RefMap *refmap_new_window(uint64_t clusters, uint64_t first, uint64_t end, MemoryBudget *budget)
{
    RefMap *map = refmap_new(clusters);

    map->plain = false;
    map->first = first;
    map->end = end;
    map->budget = budget;
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

uint64_t refmap_pieces(const RefMap *map)
{
    uint64_t end = MIN(map->end, map->clusters);

    return end > map->first ? (end >> COUNTERS_PER_PIECE_BITS) - (map->first >> COUNTERS_PER_PIECE_BITS) + 1 : 1;
}

bool refmap_take_memory(RefMap *map, uint64_t bytes)
{
    return memory_budget_take(map->budget, bytes);
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
static void *need(RefMap *map, void **slot, size_t size)
{
    void *have = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
    void *made = have ? NULL : g_try_malloc0(size);

    if (made) {
        if (__atomic_compare_exchange_n(slot, &have, made, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
            return memory_budget_take(map->budget, size) ? made : NULL;
        }
        g_free(made); /* another thread was faster */
    }
    return have;
}

static Piece *need_piece(RefMap *map, uint64_t index)
{
    void **at = &map->root;

    for (unsigned level = map->levels; level-- > 0;) {
        Node *node = need(map, at, sizeof(Node));

        if (!node) {
            return NULL;
        }
        at = &node->slots[slot_at(index, level)];
    }
    return need(map, at, sizeof(Piece));
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

/* Takes what @c has grown by since it had @before bytes. */
static bool take_growth(RefMap *map, const Counters *c, size_t before)
{
    size_t after = counters_memory(c, COUNTERS_PER_PIECE);

    return after <= before || memory_budget_take(map->budget, after - before);
}

/* To a map that is not plain. */
static bool add_or_join(RefMap *map, Counters *c, size_t first, size_t n, uint64_t weight)
{
    size_t before = counters_memory(c, COUNTERS_PER_PIECE);

    return (map->several ? counters_join(c, COUNTERS_PER_PIECE, first, n, weight, map->several)
                         : counters_add(c, COUNTERS_PER_PIECE, first, n, weight)) &&
           take_growth(map, c, before);
}

static bool add_to_piece(RefMap *map, Piece *piece, size_t first, size_t n, uint64_t weight)
{
    bool ok;

    lock_piece(piece);
    ok = map->plain ? counters_add(&piece->counters, COUNTERS_PER_PIECE, first, n, weight)
                    : add_or_join(map, &piece->counters, first, n, weight);
    unlock_piece(piece);
    return ok;
}

static bool add_scattered_to_piece(RefMap *map, Piece *piece, const uint16_t *at, size_t n, uint64_t weight)
{
    size_t before;
    bool ok = true;

    lock_piece(piece);
    before = counters_memory(&piece->counters, COUNTERS_PER_PIECE);
    if (!map->several) {
        ok = counters_add_scattered(&piece->counters, COUNTERS_PER_PIECE, at, n, weight) &&
             take_growth(map, &piece->counters, before);
    }
    for (size_t i = 0; map->several && ok && i < n; i++) {
        ok = add_or_join(map, &piece->counters, at[i], 1, weight);
    }
    unlock_piece(piece);
    return ok;
}

/* Leaves of the @n clusters from *@first on those that are counted; returns their number. */
static uint64_t clip(const RefMap *map, uint64_t *first, uint64_t n)
{
    uint64_t end = MIN(*first + n, map->end);

    *first = MAX(*first, map->first);
    return end > *first ? end - *first : 0;
}

bool refmap_add(RefMap *map, uint64_t first, uint64_t n, uint64_t weight)
{
    if (n && (first + n - 1) >> COUNTERS_PER_PIECE_BITS > map->last_piece) {
        return false;
    }
    grow(map, first + n);
    if (!map->plain) {
        n = clip(map, &first, n);
    }
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
