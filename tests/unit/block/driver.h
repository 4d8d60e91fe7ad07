/*
 * The driver's parts as a test wants them: one thread, nobody watching the progress.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_UNIT_BLOCK_DRIVER_H
#define TESTS_UNIT_BLOCK_DRIVER_H

#include "block/qcow2/format/l2.h"
#include "block/qcow2/load/refcount-blocks.h"
#include "block/qcow2/load/tables.h"
#include "block/qcow2.h"

static const BlockReadOptions one_thread = {.workers = 1};

static inline Qcow2StoredCounts *load_counts(BlockSource *source, const Qcow2HeaderFields *header,
                                             const Qcow2RefcountEntries *table)
{
    g_autoptr(GError) error = NULL;
    Qcow2StoredCounts *counts = qcow2_stored_counts_load(source, header, table, &one_thread, &error);

    g_assert_no_error(error);
    return counts;
}

static inline void load_tables(Qcow2Tables *tables, BlockSource *source)
{
    g_autoptr(GError) error = NULL;

    qcow2_tables_load(tables, source, &one_thread, &error);
    g_assert_no_error(error);
}

#endif
