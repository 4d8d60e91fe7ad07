/*
 * Roles of the clusters of a qcow2 image.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/roles.h"

#include <errno.h>

#include "block/io/prefetch.h"
#include "block/qcow2/format/format.h"
#include "block/qcow2/inspect/users.h"
#include "util/number.h"

/* Labels of metadata are its roles; clusters with metadata of several kinds have a label above them. */
#define SEVERAL_KINDS CLUSTER_ROLE__MAX

/* What a thread has. */
typedef struct RolesWorker {
    Qcow2Roles *roles;
    RefMapWriter *owners;
    RefMapWriter *compressed;
} RolesWorker;

struct Qcow2Roles {
    const Qcow2Check *check;
    const Qcow2HeaderFields *header;

    /* Owners, as labels: 1 + the index of the snapshot, then several of them, then the active disk. */
    RefMap *owners; /* NULL without snapshots */
    uint64_t several;
    uint64_t active;

    RefMap *compressed; /* clusters with compressed data */
    RefMap *metadata;   /* ClusterRole as labels */
    RefMap *references; /* to metadata, counted */
    RefMap *overflowed; /* clusters with more references than can be stored */

    RolesWorker workers[BLOCK_MAX_WORKERS];
    Qcow2TableVisitor visitor;
};

/* ---- the first pass ---- */

static uint64_t owner_of_table(const Qcow2Roles *r, const Qcow2TableRef *table)
{
    const Qcow2Tree *tree;
    uint64_t l1_index;

    if (table->active) {
        return r->active;
    }
    tree = table->weight == 1 ? qcow2_regions_find_tree(&r->check->regions, table->slot, &l1_index) : NULL;
    return tree ? (uint64_t)tree->snapshot + 1 : r->several;
}

static bool note_runs(RolesWorker *w, const Qcow2L2Result *contents, uint64_t owner)
{
    bool ok = true;

    for (uint32_t i = 0; ok && i < contents->n_runs; i++) {
        const Qcow2Run *run = &contents->runs[i];
        uint64_t n = qcow2_clusters_inside(&w->roles->check->counting, run->offset, run->n);

        ok = !n || refmap_writer_add(w->owners, run->offset >> w->roles->header->cluster_bits, n, owner);
    }
    return ok;
}

/* @owner is 0 where nobody has to know. */
static bool note_extents(RolesWorker *w, const Qcow2L2Result *contents, uint64_t owner)
{
    bool ok = true;

    for (guint i = 0; ok && i < contents->extents->len; i++) {
        const Qcow2Extent *e = &g_array_index(contents->extents, Qcow2Extent, i);
        uint64_t first, n;

        if (qcow2_region_clusters(&w->roles->check->counting, e->offset, e->length, &first, &n)) {
            ok = (!e->compressed || refmap_writer_add(w->compressed, first, n, 1)) &&
                 (!owner || refmap_writer_add(w->owners, first, n, owner));
        }
    }
    return ok;
}

static bool note_table(void *opaque, unsigned worker, const Qcow2TableRef *table, const uint8_t *bytes,
                       const Qcow2L2Result *contents)
{
    Qcow2Roles *r = opaque;
    RolesWorker *w = &r->workers[worker];
    uint64_t owner = 0;

    /* the data of an image with an external data file is not in this file */
    if (qcow2_has_data_file(r->header)) {
        return true;
    }
    if (w->owners) {
        owner = owner_of_table(r, table);
        if (!note_runs(w, contents, owner)) {
            return false;
        }
    }
    return note_extents(w, contents, owner);
}

Qcow2Roles *qcow2_roles_new(const Qcow2Check *check, const Qcow2Image *image)
{
    Qcow2Roles *r = g_new0(Qcow2Roles, 1);
    uint64_t clusters = DIV_ROUND_UP(image->source->length, image->header.cluster_size);

    r->check = check;
    r->header = &image->header;
    r->several = (uint64_t)MIN(image->header.nb_snapshots, QCOW2_MAX_SNAPSHOTS) + 1;
    r->active = r->several + 1;
    r->owners = image->header.nb_snapshots ? refmap_new_labels(clusters, r->several) : NULL;
    r->compressed = refmap_new_labels(clusters, 2);
    r->metadata = refmap_new_labels(clusters, SEVERAL_KINDS);
    r->references = refmap_new(clusters);
    r->overflowed = refmap_new_labels(clusters, 2);
    r->visitor = (Qcow2TableVisitor){note_table, r};
    for (unsigned i = 0; i < BLOCK_MAX_WORKERS; i++) {
        r->workers[i] = (RolesWorker){
            .roles = r,
            .owners = r->owners ? refmap_writer_new(r->owners) : NULL,
            .compressed = refmap_writer_new(r->compressed),
        };
    }
    return r;
}

void qcow2_roles_free(Qcow2Roles *r)
{
    for (unsigned i = 0; i < BLOCK_MAX_WORKERS; i++) {
        refmap_writer_free(r->workers[i].owners);
        refmap_writer_free(r->workers[i].compressed);
    }
    refmap_free(r->owners);
    refmap_free(r->compressed);
    refmap_free(r->metadata);
    refmap_free(r->references);
    refmap_free(r->overflowed);
    g_free(r);
}

const Qcow2TableVisitor *qcow2_roles_visitor(const Qcow2Roles *r)
{
    return &r->visitor;
}

static bool flush(Qcow2Roles *r)
{
    bool ok = true;

    for (unsigned i = 0; i < BLOCK_MAX_WORKERS; i++) {
        ok = ok && refmap_writer_flush(r->workers[i].compressed) &&
             (!r->owners || refmap_writer_flush(r->workers[i].owners));
    }
    return ok;
}

/* ---- metadata ---- */

static const ClusterRole role_of_structure[IMAGE_CHECK_STRUCTURE__MAX] = {
    [IMAGE_CHECK_STRUCTURE_HEADER] = CLUSTER_ROLE_HEADER,
    [IMAGE_CHECK_STRUCTURE_REFCOUNT_TABLE] = CLUSTER_ROLE_REFCOUNT_TABLE,
    [IMAGE_CHECK_STRUCTURE_REFCOUNT_BLOCK] = CLUSTER_ROLE_REFCOUNT_BLOCK,
    [IMAGE_CHECK_STRUCTURE_L1] = CLUSTER_ROLE_L1,
    [IMAGE_CHECK_STRUCTURE_L2] = CLUSTER_ROLE_L2,
    [IMAGE_CHECK_STRUCTURE_SNAPSHOT_TABLE] = CLUSTER_ROLE_SNAPSHOT_TABLE,
    [IMAGE_CHECK_STRUCTURE_BITMAP_DIRECTORY] = CLUSTER_ROLE_BITMAP,
    [IMAGE_CHECK_STRUCTURE_BITMAP_TABLE] = CLUSTER_ROLE_BITMAP,
    [IMAGE_CHECK_STRUCTURE_BITMAP_DATA] = CLUSTER_ROLE_BITMAP,
    [IMAGE_CHECK_STRUCTURE_CRYPT_HEADER] = CLUSTER_ROLE_CRYPT,
};

static bool note_metadata(Qcow2Roles *r, const Qcow2User *user, uint64_t owner)
{
    uint64_t first, n;

    return !qcow2_region_clusters(&r->check->counting, user->offset, user->size, &first, &n) ||
           (refmap_add(r->metadata, first, n, role_of_structure[user->structure]) &&
            refmap_add(r->references, first, n, user->weight) &&
            (!r->owners || refmap_add(r->owners, first, n, owner)));
}

static bool note_metadata_user(void *opaque, const Qcow2User *user)
{
    Qcow2Roles *r = opaque;
    bool of_snapshot = user->structure == IMAGE_CHECK_STRUCTURE_L1 && user->snapshot != QCOW2_TREE_ACTIVE;

    return note_metadata(r, user, of_snapshot ? (uint64_t)user->snapshot + 1 : r->active);
}

static bool note_l2_tables(Qcow2Roles *r)
{
    size_t n;
    const Qcow2TableRef *tables = qcow2_walk_tables(r->check->walk, &n);
    bool ok = true;

    for (size_t i = 0; ok && i < n; i++) {
        Qcow2User user = {
            .structure = IMAGE_CHECK_STRUCTURE_L2,
            .offset = tables[i].offset,
            .size = r->header->cluster_size,
            .weight = tables[i].weight,
        };

        ok = note_metadata(r, &user, r->owners ? owner_of_table(r, &tables[i]) : 0);
    }
    return ok;
}

static bool note_overflowed(Qcow2Roles *r)
{
    GHashTableIter iter;
    gpointer cluster;
    bool ok = true;

    if (!r->check->counting.overflowed) {
        return true;
    }
    g_hash_table_iter_init(&iter, r->check->counting.overflowed);
    while (ok && g_hash_table_iter_next(&iter, &cluster, NULL)) {
        ok = refmap_add(r->overflowed, *(uint64_t *)cluster, 1, 1);
    }
    return ok;
}

/* ---- the roles ---- */

enum { STORED, COMPUTED, OWNER, COMPRESSED, METADATA, REFERENCES, OVERFLOWED, KEPT, FACTS };

/* A row of values, one for each cluster, as far as they are the same. */
typedef struct Fact {
    const RefMap *map; /* NULL: all are 0, or STORED */
    uint64_t value;
    uint64_t end; /* the cluster behind the last for which it is known to be so */
    bool known;
} Fact;

static const Counters nothing;

static void look_at_counters(Fact *f, const Counters *c, uint64_t cluster, unsigned piece_bits)
{
    uint64_t size = UINT64_C(1) << piece_bits;
    size_t i = cluster & (size - 1);

    f->known = c != NULL;
    if (!c) {
        c = &nothing;
    }
    f->end = cluster + counters_same(c, i, size, &f->value);
}

static void look_at_map(Fact *f, uint64_t cluster)
{
    uint64_t piece = cluster >> COUNTERS_PER_PIECE_BITS;
    const Counters *c = f->map ? refmap_next_piece(f->map, &piece) : NULL;

    if (!c || piece != cluster >> COUNTERS_PER_PIECE_BITS) {
        *f = (Fact){.map = f->map, .end = c ? piece << COUNTERS_PER_PIECE_BITS : UINT64_MAX, .known = true};
    } else {
        look_at_counters(f, c, cluster, COUNTERS_PER_PIECE_BITS);
    }
}

static void look_at_stored(Fact *f, const Qcow2StoredCounts *stored, uint64_t cluster)
{
    uint64_t next = qcow2_stored_counts_next(stored, cluster);

    if (next > cluster) {
        *f = (Fact){.end = next, .known = true};
    } else {
        look_at_counters(f, qcow2_stored_counts_piece(stored, cluster), cluster,
                         qcow2_stored_counts_piece_bits(stored));
    }
}

static ClusterRole role_of_metadata(const Qcow2Roles *r, const Fact *facts)
{
    /* a count that was lowered tells nothing where the metadata alone is too much */
    bool more = facts[COMPUTED].value > facts[REFERENCES].value ||
                (facts[OVERFLOWED].value && facts[REFERENCES].value <= r->check->counting.max);

    if (more || facts[METADATA].value == SEVERAL_KINDS) {
        return CLUSTER_ROLE_SHARED;
    }
    if (facts[METADATA].value == CLUSTER_ROLE_L2 && r->owners && facts[OWNER].value != r->active) {
        return CLUSTER_ROLE_SNAPSHOT_DATA;
    }
    return (ClusterRole)facts[METADATA].value;
}

static ClusterRole role_of(const Qcow2Roles *r, const Fact *facts)
{
    if (!facts[COMPUTED].value) {
        return facts[STORED].value ? CLUSTER_ROLE_LEAKED : CLUSTER_ROLE_FREE;
    }
    if (facts[METADATA].value) {
        return role_of_metadata(r, facts);
    }
    if (r->owners && facts[OWNER].value != r->active) {
        return CLUSTER_ROLE_SNAPSHOT_DATA;
    }
    return facts[COMPRESSED].value ? CLUSTER_ROLE_COMPRESSED : CLUSTER_ROLE_DATA;
}

static bool corrupt(const Fact *facts, ClusterRole role)
{
    bool too_low = facts[STORED].known && facts[STORED].value < facts[COMPUTED].value;

    return too_low || facts[OVERFLOWED].value || role == CLUSTER_ROLE_SHARED;
}

/* All clusters, as many at once as have the same of all facts. */
static bool add_all(const Qcow2Roles *r, ClusterRoles *roles)
{
    Fact facts[FACTS] = {
        [COMPUTED] = {.map = r->check->counting.refs},
        [OWNER] = {.map = r->owners},
        [COMPRESSED] = {.map = r->compressed},
        [METADATA] = {.map = r->metadata},
        [REFERENCES] = {.map = r->references},
        [OVERFLOWED] = {.map = r->overflowed},
        [KEPT] = {.map = r->check->kept},
    };
    uint64_t clusters = cluster_roles_clusters(roles);
    bool ok = true;

    for (uint64_t at = 0; ok && at < clusters;) {
        ClusterRun run = {.first = at, .n = clusters - at};

        for (unsigned i = 0; i < FACTS; i++) {
            if (facts[i].end <= at && i == STORED) {
                look_at_stored(&facts[i], r->check->stored, at);
            } else if (facts[i].end <= at) {
                look_at_map(&facts[i], at);
            }
            run.n = MIN(run.n, facts[i].end - at);
        }
        run.role = role_of(r, facts);
        run.corrupt = corrupt(facts, run.role);
        run.leaked = facts[STORED].known && facts[STORED].value > facts[COMPUTED].value;
        run.kept = run.leaked && (r->check->all_kept || facts[KEPT].value);
        ok = cluster_roles_add(roles, &run);
        at += run.n;
    }
    return ok && cluster_roles_finish(roles);
}

ClusterRoles *qcow2_roles_finish(Qcow2Roles *r, GError **errp)
{
    g_autoptr(ClusterRoles) roles =
        cluster_roles_new(refmap_clusters(r->check->counting.refs), r->header->cluster_size);

    if (!flush(r) || !qcow2_visit_metadata(r->check, note_metadata_user, r) || !note_l2_tables(r) ||
        !note_overflowed(r) || !add_all(r, roles)) {
        g_set_error_literal(errp, BLOCK_ERROR, ENOMEM, "No memory for the roles of clusters");
        return NULL;
    }
    return g_steal_pointer(&roles);
}

void qcow2_roles_exclusive(const Qcow2Roles *r, uint64_t *clusters, size_t n)
{
    Fact fact = {.map = r->owners};
    uint64_t end = refmap_clusters(r->check->counting.refs);

    for (uint64_t at = 0; r->owners && at < end; at = fact.end) {
        look_at_map(&fact, at);
        if (fact.value >= 1 && fact.value <= n) {
            clusters[fact.value - 1] += fact.end - at;
        }
    }
}
