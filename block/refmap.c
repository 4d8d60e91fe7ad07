/*
 * Reference counters: one counter a host cluster.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/refmap.h"

#include "util/number.h"

#define NODE_BITS  10
#define NODE_SLOTS (1u << NODE_BITS)

/* A node of the directory: of nodes, and at the lowest level of pieces. */
typedef struct Node {
    void *slots[NODE_SLOTS];
} Node;

struct RefMap {
    uint64_t clusters;
    unsigned levels; /* of nodes above the pieces, at least 1 */
    Node *root;

    /* The piece that was used last: neighbours follow one another. */
    uint64_t last_index;
    Counters *last_piece;
};

RefMap *refmap_new(uint64_t clusters)
{
    RefMap *map = g_new0(RefMap, 1);
    uint64_t pieces = (clusters >> COUNTERS_PER_PIECE_BITS) + 1;

    map->clusters = clusters;
    map->levels = 1;
    while (map->levels * NODE_BITS < 64 && pieces >> (map->levels * NODE_BITS)) {
        map->levels++;
    }
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
            counters_clear(node->slots[i]);
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

static unsigned slot_at(uint64_t index, unsigned level)
{
    return index >> (level * NODE_BITS) & (NODE_SLOTS - 1);
}

static Counters *find_piece(const RefMap *map, uint64_t index)
{
    void *at = map->root;

    for (unsigned level = map->levels; at && level-- > 0;) {
        at = ((Node *)at)->slots[slot_at(index, level)];
    }
    return at;
}

/* The piece at @index, made when it is missing; NULL when memory is short. */
static Counters *need_piece(RefMap *map, uint64_t index)
{
    void **at = (void **)&map->root;

    if (map->last_piece && map->last_index == index) {
        return map->last_piece;
    }
    for (unsigned level = map->levels; level-- > 0;) {
        if (!*at && !(*at = g_try_new0(Node, 1))) {
            return NULL;
        }
        at = &((Node *)*at)->slots[slot_at(index, level)];
    }
    if (!*at && !(*at = g_try_new0(Counters, 1))) {
        return NULL;
    }
    map->last_index = index;
    map->last_piece = *at;
    return *at;
}

bool refmap_add(RefMap *map, uint64_t first, uint64_t n, uint64_t weight)
{
    map->clusters = MAX(map->clusters, first + n);
    while (n > 0) {
        size_t in_piece = first & (COUNTERS_PER_PIECE - 1);
        size_t step = MIN(n, COUNTERS_PER_PIECE - in_piece);
        Counters *piece = need_piece(map, first >> COUNTERS_PER_PIECE_BITS);

        if (!piece || !counters_add(piece, COUNTERS_PER_PIECE, in_piece, step, weight)) {
            return false;
        }
        first += step;
        n -= step;
    }
    return true;
}

uint64_t refmap_get(const RefMap *map, uint64_t cluster)
{
    const Counters *piece = find_piece(map, cluster >> COUNTERS_PER_PIECE_BITS);

    return piece ? counters_get(piece, cluster & (COUNTERS_PER_PIECE - 1)) : 0;
}

/* The first piece below @node at or behind *index, which is relative to @node. */
static Counters *next_below(const Node *node, unsigned level, uint64_t *index)
{
    uint64_t span = UINT64_C(1) << (level * NODE_BITS); /* pieces behind one slot */

    for (uint64_t slot = *index / span; slot < NODE_SLOTS; slot++) {
        uint64_t inside = *index > slot * span ? *index - slot * span : 0;
        Counters *piece = node->slots[slot];

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
    return map->root ? next_below(map->root, map->levels - 1, index) : NULL;
}
