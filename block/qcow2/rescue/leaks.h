/*
 * Leaks: clusters whose stored count says that something refers to them, and to which nothing that was found refers.
 *
 * They may be what an entry mapped that is empty today, so an empty entry proves nothing while there are any. Bitmaps
 * are known from the header; without it, they leak too.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_RESCUE_LEAKS_H
#define BLOCK_QCOW2_RESCUE_LEAKS_H

#include "block/qcow2/rescue/trees.h"

typedef struct Qcow2Leaks Qcow2Leaks;

/* Counts the references of header, tables and trees. @found and @trees are borrowed. NULL when memory is short. */
Qcow2Leaks *qcow2_leaks_new(const Qcow2Found *found, const Qcow2Trees *trees);
void qcow2_leaks_free(Qcow2Leaks *leaks);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Qcow2Leaks, qcow2_leaks_free)

/* Counts the references of the L2 table with @bytes at @offset, once for each entry of an L1 table that leads to it. */
void qcow2_leaks_add_table(Qcow2Leaks *leaks, uint64_t offset, const uint8_t *bytes);

/*
 * The class of what nothing is mapped for, at best: proved if there is no leak, inferred if there are so few that a
 * crash may have left them, else guessed. Inferred where the counts are not known. False when memory was short.
 */
bool qcow2_leaks_class(const Qcow2Leaks *leaks, ImageRescueClass *class);

#endif
