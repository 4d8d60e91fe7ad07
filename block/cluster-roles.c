/*
 * The role of each host cluster.
 *
 * A byte for each cluster would do; counters keep these bytes as runs where they are few.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/cluster-roles.h"

#include <string.h>

#include "block/counters.h"

#define CORRUPT 0x80u /* beside the role */

typedef struct Piece {
    uint64_t index; /* of its first cluster, in pieces */
    Counters values;
} Piece;

struct ClusterRoles {
    uint64_t clusters;
    uint64_t cluster_size;
    GArray *pieces; /* Piece, sorted by index: those in which not all is free */

    /* while being filled */
    uint8_t *values;    /* of the piece under way; COUNTERS_PER_PIECE */
    uint64_t under_way; /* its index */
    bool anything;      /* is there a piece under way? */
};

static void clear_piece(gpointer opaque)
{
    counters_clear(&((Piece *)opaque)->values);
}

ClusterRoles *cluster_roles_new(uint64_t clusters, uint64_t cluster_size)
{
    ClusterRoles *r = g_new(ClusterRoles, 1);

    *r = (ClusterRoles){
        .clusters = clusters,
        .cluster_size = cluster_size,
        .pieces = g_array_new(FALSE, FALSE, sizeof(Piece)),
        .values = g_malloc0(COUNTERS_PER_PIECE),
    };
    g_array_set_clear_func(r->pieces, clear_piece);
    return r;
}

void cluster_roles_free(ClusterRoles *r)
{
    if (r) {
        g_array_unref(r->pieces);
        g_free(r->values);
        g_free(r);
    }
}

uint64_t cluster_roles_clusters(const ClusterRoles *r)
{
    return r->clusters;
}

uint64_t cluster_roles_cluster_size(const ClusterRoles *r)
{
    return r->cluster_size;
}

/* ---- filling ---- */

/* Puts away the piece under way. */
static bool finish_piece(ClusterRoles *r)
{
    Piece piece = {.index = r->under_way};

    if (!r->anything) {
        return true;
    }
    r->anything = false;
    if (!counters_set(&piece.values, COUNTERS_PER_PIECE, r->values, 1)) {
        counters_clear(&piece.values);
        return false;
    }
    g_array_append_val(r->pieces, piece);
    memset(r->values, 0, COUNTERS_PER_PIECE);
    return true;
}

static bool add_in_piece(ClusterRoles *r, uint64_t index, size_t first, size_t n, uint8_t value)
{
    if (index != r->under_way && !finish_piece(r)) {
        return false;
    }
    r->under_way = index;
    if (n == COUNTERS_PER_PIECE) {
        Piece piece = {.index = index, .values = {.value = value}};

        g_array_append_val(r->pieces, piece);
        return true;
    }
    r->anything = true;
    memset(r->values + first, value, n);
    return true;
}

bool cluster_roles_add(ClusterRoles *r, const ClusterRun *run)
{
    uint8_t value = run->role | (run->corrupt ? CORRUPT : 0);
    uint64_t first = run->first, end = run->first + run->n;
    bool ok = true;

    while (ok && value && first < end) {
        size_t in_piece = first & (COUNTERS_PER_PIECE - 1);
        size_t n = MIN(end - first, COUNTERS_PER_PIECE - in_piece);

        ok = add_in_piece(r, first >> COUNTERS_PER_PIECE_BITS, in_piece, n, value);
        first += n;
    }
    return ok;
}

bool cluster_roles_finish(ClusterRoles *r)
{
    bool ok = finish_piece(r);

    g_clear_pointer(&r->values, g_free);
    return ok;
}

/* ---- looking ---- */

/* The index of the first piece that ends behind @cluster. */
static guint find_piece(const ClusterRoles *r, uint64_t cluster)
{
    guint low = 0, high = r->pieces->len;

    while (low < high) {
        guint middle = low + (high - low) / 2;

        if (g_array_index(r->pieces, Piece, middle).index < cluster >> COUNTERS_PER_PIECE_BITS) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The value of cluster @at, and where it ends, as far as one look tells. */
static uint8_t value_at(const ClusterRoles *r, uint64_t at, uint64_t *end)
{
    guint i = find_piece(r, at);
    const Piece *piece = i < r->pieces->len ? &g_array_index(r->pieces, Piece, i) : NULL;
    uint64_t first = piece ? piece->index << COUNTERS_PER_PIECE_BITS : r->clusters;

    if (first > at || !piece) {
        *end = first;
        return CLUSTER_ROLE_FREE;
    }
    *end = at + counters_same(&piece->values, at - first, COUNTERS_PER_PIECE);
    return counters_get(&piece->values, at - first);
}

bool cluster_roles_next(const ClusterRoles *r, uint64_t *at, ClusterRun *run)
{
    uint64_t end, next_end;
    uint8_t value;

    if (*at >= r->clusters) {
        return false;
    }
    value = value_at(r, *at, &end);
    while (end < r->clusters && value_at(r, end, &next_end) == value) {
        end = next_end;
    }
    end = MIN(end, r->clusters);
    *run = (ClusterRun){.first = *at, .n = end - *at, .role = value & ~CORRUPT, .corrupt = value & CORRUPT};
    *at = end;
    return true;
}
