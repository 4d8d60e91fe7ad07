/*
 * One thing that a person asks for, as a pass; see request.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_REPAIR_REQUEST_H
#define BLOCK_QCOW2_REPAIR_REQUEST_H

#include "block/qcow2/repair/restore.h"

/* Sets @errp: what was asked for is not done. Returns false. */
bool request_refuse(GError **errp, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* Finds the index of the only snapshot with this ID or, where there is none, this name. False and @errp set: none. */
bool request_find_snapshot(const RepairInput *in, const char *name, guint *index, GError **errp);

/* Each adds the edits of one kind of request to those of @restore. False and its @errp set where it is not done. */
bool request_attach(Restore *restore);
bool request_zero(Restore *restore);
bool request_drop_bitmap(Restore *restore);

#endif
