/*
 * What is at an offset of the file.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <inttypes.h>

#include "block/qcow2/inspect/explain.h"
#include "block/qcow2/format/format.h"
#include "block/qcow2/inspect/lookup.h"
#include "block/qcow2/inspect/users.h"
#include "qapi/util.h"
#include "util/number.h"

static Qcow2Allocation *new_range(uint64_t offset, uint64_t size)
{
    Qcow2Allocation *range = g_new(Qcow2Allocation, 1);

    *range = (Qcow2Allocation){.offset = offset, .size = size};
    return range;
}

/* ---- users ---- */

/* The clusters that @user takes, all of them. */
static Qcow2Allocation *user_clusters(const Qcow2User *user, uint64_t cluster_size)
{
    uint64_t first = user->offset / cluster_size * cluster_size;
    uint64_t end = DIV_ROUND_UP(user->offset + user->size, cluster_size) * cluster_size;

    return new_range(first, end - first);
}

static bool add_user(const Qcow2Check *c, const Qcow2User *user, ImageCheckUserList *list, GError **errp)
{
    ImageCheckUser *item = qapi_append_ImageCheckUser(list);

    if (!item) {
        return qapi_set_out_of_memory(errp);
    }
    *item = (ImageCheckUser){
        .structure = user->structure,
        .has_entry_offset = user->structure != IMAGE_CHECK_STRUCTURE_HEADER,
        .entry_offset = user->entry_offset,
        .cluster = user_clusters(user, c->image->header.cluster_size),
    };
    if (user->has_guest) {
        item->guest = new_range(user->guest_offset, user->guest_size);
    }
    if (user->snapshot != QCOW2_TREE_ACTIVE) {
        item->snapshot = g_strdup(g_array_index(c->snapshots.items, Qcow2Snapshot, user->snapshot).name);
    }
    return true;
}

static bool add_users(Qcow2Check *c, uint64_t cluster, ImageCheckHostExplanation *answer, GError **errp)
{
    Qcow2ClusterRange range = {.first = cluster, .n = 1};
    GArray *users = g_array_new(FALSE, FALSE, sizeof(Qcow2User));
    bool ok = qcow2_find_users(c, &range, 1, users, errp);

    if (ok) {
        bool capped = qcow2_users_capped(users);

        qcow2_tell_trees_apart(c, &users);
        answer->users_incomplete = capped || users->len >= 2 * LIMIT_USERS;
    }
    for (guint i = 0; ok && i < users->len; i++) {
        ok = add_user(c, &g_array_index(users, Qcow2User, i), &answer->users, errp);
    }
    g_array_unref(users);
    return ok;
}

/* ---- counts ---- */

static void add_counts(const Qcow2Check *c, uint64_t cluster, ImageCheckHostExplanation *answer)
{
    const Qcow2HeaderFields *h = &c->image->header;
    const Qcow2RefcountEntries *table = &c->image->refcount_table;
    unsigned block_bits = qcow2_refblock_bits(h);
    uint64_t index = cluster >> block_bits;
    uint64_t block = index < table->n ? table->entries[index] & QCOW2_REFTABLE_OFFSET_MASK : 0;
    uint64_t in_block = cluster & ((UINT64_C(1) << block_bits) - 1);

    answer->has_refcount = qcow2_stored_count(c->stored, cluster, &answer->refcount);
    answer->has_refcount_offset = block != 0;
    answer->refcount_offset = block + (in_block << h->refcount_order) / 8;
    answer->reference = refmap_get(c->counting.refs, cluster);
}

/* ---- findings ---- */

static bool touches(const Qcow2Allocation *range, const Qcow2Allocation *cluster)
{
    return range && range->size && range->offset < cluster->offset + cluster->size &&
           range->offset + (range->size - 1) >= cluster->offset;
}

static bool concerns(const ImageCheckFinding *f, const Qcow2Allocation *cluster)
{
    bool word_in_it = f->has_entry_offset && f->entry_offset - cluster->offset < cluster->size;

    return word_in_it || touches(f->cluster, cluster);
}

static Qcow2Allocation *copy_range(const Qcow2Allocation *range)
{
    return range ? new_range(range->offset, range->size) : NULL;
}

static bool copy_users(const ImageCheckUserList *from, ImageCheckUserList *to, GError **errp)
{
    for (size_t i = 0; i < from->len; i++) {
        ImageCheckUser *item = qapi_append_ImageCheckUser(to);

        if (!item) {
            return qapi_set_out_of_memory(errp);
        }
        *item = from->items[i];
        item->cluster = copy_range(item->cluster);
        item->guest = copy_range(item->guest);
        item->snapshot = g_strdup(item->snapshot);
        item->bitmap = g_strdup(item->bitmap);
    }
    return true;
}

static bool copy_finding(const ImageCheckFinding *f, ImageCheckFindingList *to, GError **errp)
{
    ImageCheckFinding *item = qapi_append_ImageCheckFinding(to);

    if (!item) {
        return qapi_set_out_of_memory(errp);
    }
    *item = *f;
    item->cluster = copy_range(f->cluster);
    item->guest = copy_range(f->guest);
    item->snapshot = g_strdup(f->snapshot);
    item->bitmap = g_strdup(f->bitmap);
    item->message = g_strdup(f->message);
    item->other_users = (ImageCheckUserList){0};
    return copy_users(&f->other_users, &item->other_users, errp);
}

static bool add_findings(const QapiSequence *findings, ImageCheckHostExplanation *answer, GError **errp)
{
    g_auto(QapiIterator) each = qapi_iterate(findings);
    const ImageCheckFinding *f;
    bool ok = true;

    while (ok && (f = qapi_next(&each))) {
        ok = !concerns(f, &answer->cluster) || copy_finding(f, &answer->findings, errp);
    }
    return ok;
}

ImageCheckHostExplanation *qcow2_lookup_host(Qcow2Check *check, uint64_t offset, const ClusterRoles *roles,
                                             const QapiSequence *findings, GError **errp)
{
    const Qcow2HeaderFields *h = &check->image->header;
    g_autoptr(ImageCheckHostExplanation) answer = g_new0(ImageCheckHostExplanation, 1);
    uint64_t cluster = offset >> h->cluster_bits;
    uint64_t at = cluster;
    ClusterRun run;

    if (offset >= check->image->source->length || !cluster_roles_next(roles, &at, &run)) {
        g_set_error(errp, BLOCK_ERROR, ENOENT,
                    "Offset 0x%" PRIx64 " is beyond the end of the file, which has 0x%" PRIx64 " bytes", offset,
                    check->image->source->length);
        return NULL;
    }
    answer->offset = offset;
    answer->cluster = (Qcow2Allocation){.offset = cluster << h->cluster_bits, .size = h->cluster_size};
    answer->role = run.role;
    answer->damaged = run.corrupt;
    add_counts(check, cluster, answer);
    return add_users(check, cluster, answer, errp) && add_findings(findings, answer, errp) ? g_steal_pointer(&answer)
                                                                                           : NULL;
}
