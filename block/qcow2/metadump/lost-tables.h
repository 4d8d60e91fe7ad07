/*
 * Copies tables that are lost: leaked clusters that cannot be anything else.
 *
 * Data is never copied, so the test is strict. An L2 table has no entry that cannot be one, and of the clusters that it
 * names 15 of 16 have more references stored than counted; an L1 table has no word that cannot be an entry, and most of
 * them lead to L2 tables, lost or not. Snapshot tables, which have names in them, are not copied.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_METADUMP_LOST_TABLES_H
#define BLOCK_QCOW2_METADUMP_LOST_TABLES_H

#include "block/qcow2/metadump/writer.h"

/* For an image that is counted. Reads what is leaked. False when memory is short or the sink fails. */
bool qcow2_copy_lost_tables(Qcow2Copy *copy);

#endif
