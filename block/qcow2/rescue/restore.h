/*
 * Restoring L2 tables that are gone from an earlier copy of the metadata.
 *
 * An entry comes back if what it refers to is still in use, and nothing else has it: not a table, and not the guest's
 * data at another place. It may have been freed and used again for the guest since, which nobody can see; so it is
 * inferred, never proved.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_RESCUE_RESTORE_H
#define BLOCK_QCOW2_RESCUE_RESTORE_H

#include "block/io/edits.h"
#include "block/qcow2/rescue/trees.h"

/* A cluster of the guest's disk that the copy has, and that is not brought back. */
typedef struct Qcow2DroppedEntry {
    uint64_t slot;
    uint32_t entry;
} Qcow2DroppedEntry;

/*
 * Adds an edit for each table that comes back. A table that has no place in the file goes to *@end, cluster aligned,
 * which grows. Appends to @dropped (Qcow2DroppedEntry). False and @errp set when memory is short.
 */
bool qcow2_restore_tables(const Qcow2Found *found, Qcow2Trees *trees, Edits *edits, uint64_t *end, GArray *dropped,
                          GError **errp);

#endif
