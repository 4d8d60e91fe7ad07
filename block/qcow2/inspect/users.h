/*
 * The users of given clusters: every structure of an image in them, the word in the file that refers to it, and for
 * data the guest range and the snapshot.
 *
 * The users of a cluster are the references that a check counts: their weights add up to its computed count. Finding
 * them reads every L2 table, so pass all clusters of interest in one call.
 *
 * Not thread safe; reads on several threads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_INSPECT_USERS_H
#define BLOCK_QCOW2_INSPECT_USERS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "block/clusters/ranges.h"
#include "block/limits.h"
#include "block/qcow2/check/check.h"

typedef struct Qcow2User {
    ImageCheckStructure structure;
    uint64_t offset; /* host bytes that it takes, such as a whole table; of plain data, its clusters in one range */
    uint64_t size;
    uint64_t entry_offset; /* of the word in the file that refers to it; of data in a row, that of the first */
    bool has_guest;        /* data, L2 tables */
    uint64_t guest_offset;
    uint64_t guest_size;
    int snapshot;    /* QCOW2_TREE_ACTIVE, or the index in the snapshot table of the first one found */
    uint64_t weight; /* trees that have the entry */
} Qcow2User;

/* Return true if @users, as found, may be incomplete: a cluster may have a million. */
static inline bool qcow2_users_capped(const GArray *users)
{
    return users->len >= LIMIT_USERS;
}

/*
 * Appends to @users, which is empty, every Qcow2User in one of the @n @ranges, sorted by offset and then by entry
 * offset.
 * @ranges must be sorted and not overlap. Call after qcow2_check_count(), and before the counts are forgotten. False
 * and
 * @errp set when memory is short, or the source is lost.
 */
bool qcow2_find_users(Qcow2Check *check, const Qcow2ClusterRange *ranges, size_t n, GArray *users, GError **errp);

/*
 * Calls @visit for all metadata except L2 tables, at any offset, until it returns false. Returns its last result.
 */
typedef bool (*Qcow2UserVisitor)(void *opaque, const Qcow2User *user);
bool qcow2_visit_metadata(const Qcow2Check *check, Qcow2UserVisitor visit, void *opaque);

/* Sets the snapshot of @user, an L2 table, and the guest range that it maps; @slot: offset of its L1 entry. */
void qcow2_set_l2_guest(const Qcow2Check *check, uint64_t slot, Qcow2User *user);

#endif
