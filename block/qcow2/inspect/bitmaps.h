/*
 * Bitmaps whose bits are not to be trusted although a check has nothing against them: they were not closed, or their
 * bits lie in clusters of something else.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_INSPECT_BITMAPS_H
#define BLOCK_QCOW2_INSPECT_BITMAPS_H

#include "block/qcow2/check/check.h"
#include "block/qcow2/inspect/users.h"

/*
 * Adds a note for each to the findings of @check, where they are wanted. Returns true if there are any. After
 * qcow2_check_report().
 */
bool qcow2_find_doubtful_bitmaps(Qcow2Check *check);

/*
 * Returns true if a cluster with bits of @bitmap has another user. *@examined counts the entries that were looked at:
 * beyond some millions of them nothing is found.
 */
bool qcow2_bitmap_bits_shared(const Qcow2Check *check, const Qcow2Bitmap *bitmap, uint64_t *examined);

/*
 * The name of the bitmap whose table or bits @user is, NULL where it is something else. There may be thousands of
 * bitmaps, and of words: *@examined counts those that were looked at, and beyond LIMIT_USERS_EXAMINED there is no name.
 */
const char *qcow2_bitmap_name(const Qcow2Check *check, const Qcow2User *user, uint64_t *examined);

#endif
