/*
 * Copying what has names in it: header, snapshot table, bitmap directory. Each is false on failure, which is
 * remembered.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_METADUMP_NAMES_H
#define BLOCK_QCOW2_METADUMP_NAMES_H

#include "block/qcow2/metadump/writer.h"

bool qcow2_copy_header(Qcow2Copy *copy);
bool qcow2_copy_snapshot_table(Qcow2Copy *copy);
bool qcow2_copy_bitmap_directory(Qcow2Copy *copy);

#endif
