/*
 * Unaligned L2 entries without data become plain zero.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_REPAIR_ENTRIES_H
#define BLOCK_QCOW2_REPAIR_ENTRIES_H

#include "block/qcow2/repair/allocate.h"

RepairPass repair_entries;

/* True where all tables that have such entries can be overwritten: before they are reported. */
bool entries_all_writable(const MetadataLayout *layout, bool *all, GError **errp);

#endif
