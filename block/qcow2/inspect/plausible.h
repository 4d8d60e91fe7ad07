/*
 * Whether bytes look like the structure that an image says they are.
 *
 * A pointer in a broken image may lead anywhere, into the guest's data too. What does not look like a table is not to
 * be shown to others as one. A table with a few damaged entries is still a table; but where it goes on over what is no
 * part of it, as with a damaged length, single entries show that they never were any: they are alien.
 *
 * Pure, no I/O.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_INSPECT_PLAUSIBLE_H
#define BLOCK_QCOW2_INSPECT_PLAUSIBLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "block/qcow2/format/header.h"
#include "block/clusters/refmap.h"

/*
 * True unless most, and not only a few, of the @n entries at @entries (host byte order) that are not 0 have bits of
 * @reserved set, or an offset (the bits of @offset_mask) that is not cluster aligned or lies beyond @length bytes.
 */
bool qcow2_plausible_table(const uint64_t *entries, size_t n, uint64_t reserved, uint64_t offset_mask,
                           const Qcow2HeaderFields *header, uint64_t length);

/* True where @entry has so many bits of @reserved set that no accident of a few bits has made it. */
bool qcow2_implausible_entry(uint64_t entry, uint64_t reserved);

/* The same for an L2 entry. */
bool qcow2_implausible_l2_entry(uint64_t entry, const Qcow2HeaderFields *header, uint64_t length);

/* As qcow2_plausible_table(), for the L2 table of one cluster at @table, as it is stored. */
bool qcow2_plausible_l2_table(const uint8_t *table, const Qcow2HeaderFields *header, uint64_t length);

/*
 * As qcow2_plausible_table(), for a refcount block, whose first count is that of cluster @first: the counts of most
 * clusters that have one or are used are what @computed says, or small.
 */
bool qcow2_plausible_refcount_block(const uint8_t *block, const Qcow2HeaderFields *header, uint64_t first,
                                    const RefMap *computed);

#endif
