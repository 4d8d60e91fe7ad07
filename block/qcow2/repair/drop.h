/*
 * Drops what keeps an image from being opened, or from being checked: words of the header, and nothing else.
 *
 *     bitmaps             the flag that says that the bitmaps are valid, and the extension that says where they are
 *     snapshots           number and place of the snapshot table
 *     backing-name        place and length of the name of the backing file
 *     encryption-header   the encryption method, and the extension that says where its header is
 *
 * The image need not be one that can be opened. What was dropped leaks then.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_REPAIR_DROP_H
#define BLOCK_QCOW2_REPAIR_DROP_H

#include "block/io/edits.h"
#include "block/repair-request.h"

/* The edits for @request, which is one for the header. NULL and @errp set where there is nothing to drop. */
Edits *drop_from_header(BlockSource *source, const Qcow2Request *request, GError **errp);

#endif
