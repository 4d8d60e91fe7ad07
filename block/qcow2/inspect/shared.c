/*
 * Clusters that are used for two things, with a reference count that allows for it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/shared.h"

#include "block/clusters/ranges.h"
#include "block/qcow2/format/format.h"
#include "block/qcow2/inspect/bitmaps.h"
#include "block/qcow2/inspect/users.h"

#define MAX_LOOKS      (UINT64_C(16) << 20) /* at clusters of metadata */
#define MAX_CANDIDATES 4096u                /* ranges of clusters of data */

static void add_note(Qcow2Check *c, ImageCheckFindingKind kind, Qcow2Location location)
{
    if (c->options->findings) {
        qcow2_collector_add(c->collector, &(Qcow2Finding){kind, .location = location});
    }
}

/* ---- metadata with another user that its reference count includes ---- */

/* The references to @cluster where they are more than @expected, and as many as are stored; else 0. */
static uint64_t unseen_references(const Qcow2Check *c, uint64_t cluster, uint64_t expected)
{
    uint64_t references = cluster < refmap_clusters(c->counting.refs) ? refmap_get(c->counting.refs, cluster) : 0;
    uint64_t count;

    return references > expected && qcow2_stored_count(c->stored, cluster, &count) && count == references ? references
                                                                                                          : 0;
}

static const char *snapshot_name(const Qcow2Check *c, int snapshot)
{
    return snapshot == QCOW2_TREE_ACTIVE ? NULL : g_array_index(c->snapshots.items, Qcow2Snapshot, snapshot).name;
}

static void add_shared(Qcow2Check *c, Qcow2Location location, uint64_t cluster, uint64_t references)
{
    location.cluster_offset = cluster << c->image->header.cluster_bits;
    location.cluster_size = c->image->header.cluster_size;
    location.has_refcount = location.has_reference = true;
    location.refcount = location.reference = references;
    add_note(c, QCOW2_FINDING_METADATA_SHARED, location);
}

/* Looking at all clusters of all metadata but L2 tables. */
typedef struct MetadataLook {
    Qcow2Check *check;
    uint64_t found;    /* clusters */
    uint64_t examined; /* bitmaps, for their names */
    uint64_t left;     /* clusters: snapshots may claim the same L1 table thousands of times */
} MetadataLook;

static bool look_at_metadata(void *opaque, const Qcow2User *u)
{
    MetadataLook *look = opaque;
    Qcow2Check *c = look->check;
    Qcow2Location location = qcow2_location(u->structure, u->entry_offset, 0, 0);
    uint64_t first, n;

    location.has_entry = u->structure != IMAGE_CHECK_STRUCTURE_HEADER;
    location.snapshot = snapshot_name(c, u->snapshot);
    /* a refcount block that is shared is a fault */
    if (u->structure == IMAGE_CHECK_STRUCTURE_REFCOUNT_BLOCK ||
        !qcow2_region_clusters(&c->counting, u->offset, u->size, &first, &n)) {
        return true;
    }
    for (uint64_t i = first; i < first + n && look->left; i++, look->left--) {
        uint64_t references = unseen_references(c, i, u->weight);

        if (references) {
            look->found++;
            location.bitmap = qcow2_bitmap_name(c, u, &look->examined);
            add_shared(c, location, i, references);
        }
    }
    return look->left;
}

static uint64_t find_shared_metadata(Qcow2Check *c)
{
    MetadataLook look = {.check = c, .left = MAX_LOOKS};

    qcow2_visit_metadata(c, look_at_metadata, &look);
    return look.found;
}

static uint64_t find_shared_tables(Qcow2Check *c)
{
    const Qcow2HeaderFields *h = &c->image->header;
    uint64_t found = 0;
    size_t n;
    const Qcow2TableRef *tables = qcow2_walk_tables(c->walk, &n);

    for (size_t i = 0; i < n; i++) {
        uint64_t references = unseen_references(c, tables[i].offset >> h->cluster_bits, tables[i].weight);
        uint64_t index;
        const Qcow2Tree *tree;
        Qcow2Location location;

        if (!references || !(tree = qcow2_regions_find_tree(&c->regions, tables[i].slot, &index))) {
            continue;
        }
        location =
            qcow2_location_l1_entry(h, snapshot_name(c, tree->snapshot), tables[i].slot, index, tables[i].offset);
        location.structure = IMAGE_CHECK_STRUCTURE_L2;
        found++;
        add_shared(c, location, tables[i].offset >> h->cluster_bits, references);
    }
    return found;
}

/* ---- data of two guest ranges of one disk ---- */

/* Adds clusters [first, first + n) to @ranges. False when there are enough. */
static bool add_candidates(GArray *ranges, uint64_t first, uint64_t n)
{
    Qcow2ClusterRange *last = ranges->len ? &g_array_index(ranges, Qcow2ClusterRange, ranges->len - 1) : NULL;
    Qcow2ClusterRange range = {.first = first, .n = n};

    if (last && last->first + last->n == first) {
        last->n += n;
    } else if (ranges->len < MAX_CANDIDATES) {
        g_array_append_val(ranges, range);
    } else {
        return false;
    }
    return true;
}

/*
 * Clusters with more references than there are trees, as many as are stored: Qcow2ClusterRange. One tree has two of
 * them then. What has fewer in an image with snapshots is not found.
 */
static GArray *candidates(const Qcow2Check *c)
{
    GArray *ranges = g_array_new(FALSE, FALSE, sizeof(Qcow2ClusterRange));
    uint64_t trees = 1 + c->snapshots.items->len, index = 0;
    const Counters *piece;

    for (; (piece = refmap_next_piece(c->counting.refs, &index)); index++) {
        bool any = counters_max(piece, 0, COUNTERS_PER_PIECE) > trees;
        uint64_t n;

        for (uint64_t i = 0; any && i < COUNTERS_PER_PIECE; i += n) {
            uint64_t references = counters_get(piece, i), first = (index << COUNTERS_PER_PIECE_BITS) + i, stored;

            n = counters_stretch(piece, i, COUNTERS_PER_PIECE);
            if (references > trees && qcow2_stored_count(c->stored, first, &stored) && stored == references &&
                !add_candidates(ranges, first, n)) {
                return ranges;
            }
        }
    }
    return ranges;
}

/* Notes @user, the first of cluster @cluster. */
static void add_shared_data(Qcow2Check *c, const Qcow2User *user, uint64_t cluster)
{
    uint64_t size = c->image->header.cluster_size, ahead = (cluster << c->image->header.cluster_bits) - user->offset;
    Qcow2Location location = qcow2_location(IMAGE_CHECK_STRUCTURE_DATA,
                                            user->entry_offset + ahead / size * qcow2_l2_entry_size(&c->image->header),
                                            user->offset + ahead, size);

    location.snapshot = snapshot_name(c, user->snapshot);
    qcow2_location_set_guest(&location, &c->image->header, user->guest_offset + ahead, size);
    location.has_refcount = location.has_reference = qcow2_stored_count(c->stored, cluster, &location.refcount);
    location.reference = location.refcount;
    add_note(c, QCOW2_FINDING_DATA_SHARED, location);
}

static bool covers(const Qcow2User *user, uint64_t offset)
{
    return user->structure == IMAGE_CHECK_STRUCTURE_DATA && user->offset <= offset &&
           offset - user->offset < user->size;
}

/* Notes the clusters of @range that two users of one tree have. Returns how many those are. */
static uint64_t note_shared_data(Qcow2Check *c, const Qcow2ClusterRange *range, const GArray *users)
{
    uint64_t found = 0;

    for (uint64_t cluster = range->first; cluster < range->first + range->n; cluster++) {
        uint64_t offset = cluster << c->image->header.cluster_bits;
        const Qcow2User *first = NULL;

        for (guint i = 0; i < users->len; i++) {
            const Qcow2User *user = &g_array_index(users, Qcow2User, i);

            if (!covers(user, offset) || (first && user->snapshot != first->snapshot)) {
                continue;
            }
            if (first) {
                add_shared_data(c, first, cluster);
                found++;
                break;
            }
            first = user;
        }
    }
    return found;
}

/*
 * Compressed clusters share the clusters of the file as a matter of course. To tell them apart takes a second look at
 * all tables, which only a list of findings is worth.
 */
static bool find_shared_data(Qcow2Check *c, uint64_t *found, GError **errp)
{
    g_autoptr(GArray) ranges = candidates(c);
    g_autoptr(GArray) users = g_array_new(FALSE, FALSE, sizeof(Qcow2User));

    if (!ranges->len) {
        return true;
    }
    if (!c->options->findings) {
        *found += qcow2_walk_statistics(c->walk).compressed ? 0 : ranges->len;
        return true;
    }
    for (guint i = 0; i < ranges->len; i++) {
        const Qcow2ClusterRange *range = &g_array_index(ranges, Qcow2ClusterRange, i);

        g_array_set_size(users, 0);
        if (!qcow2_find_users(c, range, 1, users, errp)) {
            return false;
        }
        *found += note_shared_data(c, range, users);
    }
    return true;
}

bool qcow2_find_shared(Qcow2Check *c, uint64_t *found, GError **errp)
{
    *found = find_shared_metadata(c) + find_shared_tables(c);
    return find_shared_data(c, found, errp);
}
