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
 * The name of the bitmap whose table or bits @user is, NULL where it is something else. There may be thousands of
 * bitmaps, and of words: *@examined counts those that were looked at, and beyond LIMIT_USERS_EXAMINED there is no name.
 */
const char *qcow2_bitmap_name(const Qcow2Check *check, const Qcow2User *user, uint64_t *examined);

#endif
