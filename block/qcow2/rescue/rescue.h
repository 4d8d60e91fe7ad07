/*
 * Rescuing an image without a usable header or L1 table.
 *
 *     scan        what looks like a table, or the beginning of another structure      scan.h, forms.h
 *     geometry    cluster size, form of entries, reference counts                     geometry.h, tables.h, remains.h
 *     snapshots   their table and L1 tables                                           snapshots.h
 *     trees       the L1 table of the disk, and the size of the disk                  trees.h, disk-size.h
 *     order       places of L2 tables that no L1 table refers to                      lost.h, matches.h, order.h
 *     restore     L2 tables that are gone, from an earlier copy of the metadata       restore.h
 *     survey      the class of each range of the disk                                 survey.h
 *     build       header and L1 table                                                 build.h
 *
 * The source is only read. What is to be written is a list of edits over a copy of it; reference counts and flags are
 * left to a repair of that copy.
 *
 * Memory follows what looks like metadata in the file, never a number that the file claims. Not thread safe; reads on
 * several threads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_RESCUE_RESCUE_H
#define BLOCK_QCOW2_RESCUE_RESCUE_H

#include "block/io/edits.h"
#include "block/qcow2/rescue/found.h"
#include "qapi/qapi-types.h"

typedef struct Qcow2Rescue {
    Edits *edits;        /* over a copy of the source */
    uint64_t length;     /* of that copy, bytes */
    ImageRescue *result; /* @source and @destination are left to the caller */
    char *size_from;     /* where the size of the disk comes from, a phrase */
} Qcow2Rescue;

/* Finds out what is to be written. False and @errp set if nothing can be rescued; clear @rescue either way. */
bool qcow2_rescue_plan(const Qcow2RescueInput *in, Qcow2Rescue *rescue, GError **errp);

/* Writes to @copy, a copy of the source. */
bool qcow2_rescue_write(const Qcow2Rescue *rescue, BlockSource *copy, GError **errp);

void qcow2_rescue_clear(Qcow2Rescue *rescue);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Qcow2Rescue, qcow2_rescue_clear)

#endif
