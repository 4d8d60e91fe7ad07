/*
 * The role of each host cluster.
 *
 * A byte for each cluster would do; counters keep these bytes as runs where they are few.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/cluster-roles.h"

#include <assert.h>
#include <string.h>

#include "block/clusters/counters.h"
#include "util/search.h"

#define CORRUPT 0x80u /* a flag, added to the role */
#define LEAKED  0x40u /* a flag; not set if the role is CLUSTER_ROLE_LEAKED */
#define KEPT    0x20u /* a flag: the leak stays, as it may be the last copy of something */
G_STATIC_ASSERT(CLUSTER_ROLE__MAX <= KEPT);
#define RUNS_MOST 512 /* in a piece; they take a fourth of what a byte for each cluster does */

typedef struct Piece {
    uint64_t index; /* of its first cluster, in pieces */
    Counters values;
} Piece;

/* The piece under way. It has runs as long as they are few. */
typedef struct Filling {
    uint64_t index;
    size_t n_runs; /* 0: nothing but free clusters so far, and no array */
    size_t end;    /* of the last run; what is behind it is free */
    bool has_array;
    CounterRun runs[RUNS_MOST + 1];
    uint8_t array[COUNTERS_PER_PIECE];
} Filling;

struct ClusterRoles {
    uint64_t clusters;
    uint64_t cluster_size;
    uint64_t added; /* runs */
    GArray *pieces; /* Piece, sorted by index: those in which not all is free */

    Filling *filling; /* NULL: all are there */
};

static void clear_piece(gpointer opaque)
{
    counters_clear(&((Piece *)opaque)->values);
}

static void begin_piece(Filling *f, uint64_t index)
{
    f->index = index;
    f->n_runs = 0;
    f->end = 0;
    f->has_array = false;
}

ClusterRoles *cluster_roles_new(uint64_t clusters, uint64_t cluster_size)
{
    ClusterRoles *r = g_new(ClusterRoles, 1);

    *r = (ClusterRoles){
        .clusters = clusters,
        .cluster_size = cluster_size,
        .pieces = g_array_new(FALSE, FALSE, sizeof(Piece)),
        .filling = g_new(Filling, 1),
    };
    begin_piece(r->filling, 0);
    g_array_set_clear_func(r->pieces, clear_piece);
    return r;
}

void cluster_roles_free(ClusterRoles *r)
{
    if (r) {
        g_array_unref(r->pieces);
        g_free(r->filling);
        g_free(r);
    }
}

uint64_t cluster_roles_clusters(const ClusterRoles *r)
{
    return r->clusters;
}

/* Each that was added, and what is free in front of it and behind the last. */
uint64_t cluster_roles_runs_most(const ClusterRoles *r)
{
    return 2 * r->added + 1;
}

uint64_t cluster_roles_cluster_size(const ClusterRoles *r)
{
    return r->cluster_size;
}

/* ---- filling ---- */

/* Puts away the piece under way. */
static bool finish_piece(ClusterRoles *r)
{
    Filling *f = r->filling;
    Piece piece = {.index = f->index};
    bool ok;

    if (!f->n_runs && !f->has_array) {
        return true;
    }
    if (f->has_array) {
        ok = counters_set(&piece.values, COUNTERS_PER_PIECE, f->array, 1);
    } else {
        if (f->end < COUNTERS_PER_PIECE) {
            f->runs[f->n_runs++] = (CounterRun){.value = CLUSTER_ROLE_FREE, .first = (uint16_t)f->end};
        }
        ok = counters_set_runs(&piece.values, f->runs, f->n_runs);
    }
    if (!ok) {
        counters_clear(&piece.values);
        return false;
    }
    g_array_append_val(r->pieces, piece);
    return true;
}

static void need_array(Filling *f)
{
    f->has_array = true;
    memset(f->array, CLUSTER_ROLE_FREE, COUNTERS_PER_PIECE);
    for (size_t i = 0; i < f->n_runs; i++) {
        size_t end = i + 1 < f->n_runs ? f->runs[i + 1].first : f->end;

        memset(f->array + f->runs[i].first, (uint8_t)f->runs[i].value, end - f->runs[i].first);
    }
}

static void add_run(Filling *f, size_t first, size_t n, uint8_t value)
{
    if (first > f->end) {
        f->runs[f->n_runs++] = (CounterRun){.value = CLUSTER_ROLE_FREE, .first = (uint16_t)f->end};
    }
    if (!f->n_runs || first > f->end || f->runs[f->n_runs - 1].value != value) {
        f->runs[f->n_runs++] = (CounterRun){.value = value, .first = (uint16_t)first};
    }
    f->end = first + n;
}

static bool add_in_piece(ClusterRoles *r, uint64_t index, size_t first, size_t n, uint8_t value)
{
    Filling *f = r->filling;

    if (index != f->index) {
        if (!finish_piece(r)) {
            return false;
        }
        begin_piece(f, index);
    }
    if (!f->has_array && f->n_runs + 2 > RUNS_MOST) {
        need_array(f);
    }
    if (f->has_array) {
        memset(f->array + first, value, n);
    } else {
        add_run(f, first, n, value);
    }
    return true;
}

bool cluster_roles_add(ClusterRoles *r, const ClusterRun *run)
{
    bool leaked_in_use = run->leaked && run->role != CLUSTER_ROLE_LEAKED;
    uint8_t value =
        (uint8_t)(run->role | (run->corrupt ? CORRUPT : 0) | (leaked_in_use ? LEAKED : 0) | (run->kept ? KEPT : 0));
    uint64_t first = run->first, end = run->first + run->n;
    bool ok = true;

    assert(r->filling && run->n >= 1 && (first >> COUNTERS_PER_PIECE_BITS) >= r->filling->index);
    r->added++;
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

    g_clear_pointer(&r->filling, g_free);
    return ok;
}

/* ---- looking ---- */

/* The index of the first piece that ends behind @cluster. */
static size_t find_piece(const ClusterRoles *r, uint64_t cluster)
{
    return ARRAY_FIRST_NOT_BELOW(r->pieces, Piece, index, cluster >> COUNTERS_PER_PIECE_BITS);
}

/* The value of cluster @at, and where it ends, as far as one look tells: no further than the piece. */
static uint8_t value_at(const ClusterRoles *r, uint64_t at, uint64_t *end)
{
    size_t i = find_piece(r, at);
    const Piece *piece = i < r->pieces->len ? &g_array_index(r->pieces, Piece, i) : NULL;
    uint64_t first = piece ? piece->index << COUNTERS_PER_PIECE_BITS : r->clusters;
    uint64_t value;

    if (first > at || !piece) {
        *end = first;
        return CLUSTER_ROLE_FREE;
    }
    *end = at + counters_same(&piece->values, at - first, COUNTERS_PER_PIECE, &value);
    return (uint8_t)value;
}

bool cluster_roles_next(const ClusterRoles *r, uint64_t *at, ClusterRun *run)
{
    uint64_t end, next_end;
    uint8_t value;

    assert(!r->filling);
    if (*at >= r->clusters) {
        return false;
    }
    value = value_at(r, *at, &end);
    while (end < r->clusters && end % COUNTERS_PER_PIECE == 0 && value_at(r, end, &next_end) == value) {
        end = next_end;
    }
    end = MIN(end, r->clusters);
    *run = (ClusterRun){.first = *at,
                        .n = end - *at,
                        .role = value & ~(CORRUPT | LEAKED | KEPT),
                        .corrupt = value & CORRUPT,
                        .kept = value & KEPT};
    run->leaked = run->role == CLUSTER_ROLE_LEAKED || (value & LEAKED);
    *at = end;
    return true;
}

ImageCheckRoleSpace **cluster_role_space(ImageCheckRoles *roles, ClusterRole role)
{
    ImageCheckRoleSpace **const members[CLUSTER_ROLE__MAX] = {
        [CLUSTER_ROLE_FREE] = &roles->free,
        [CLUSTER_ROLE_HEADER] = &roles->header,
        [CLUSTER_ROLE_REFCOUNT_TABLE] = &roles->refcount_table,
        [CLUSTER_ROLE_REFCOUNT_BLOCK] = &roles->refcount_block,
        [CLUSTER_ROLE_L1] = &roles->l1,
        [CLUSTER_ROLE_L2] = &roles->l2,
        [CLUSTER_ROLE_DATA] = &roles->data,
        [CLUSTER_ROLE_COMPRESSED] = &roles->compressed,
        [CLUSTER_ROLE_SNAPSHOT_TABLE] = &roles->snapshot_table,
        [CLUSTER_ROLE_SNAPSHOT_DATA] = &roles->snapshot_data,
        [CLUSTER_ROLE_BITMAP] = &roles->bitmap,
        [CLUSTER_ROLE_CRYPT] = &roles->crypt,
        [CLUSTER_ROLE_LEAKED] = &roles->leaked,
        [CLUSTER_ROLE_SHARED] = &roles->shared,
    };

    assert(role < CLUSTER_ROLE__MAX && members[role]);
    return members[role];
}
