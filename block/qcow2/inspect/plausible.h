/*
 * Testing whether bytes are plausible as the structure that an image claims.
 *
 * A pointer in a broken image may lead anywhere, also into the guest's data, which must not be passed on as a table. A
 * table with a few damaged entries is still a table. But if it reaches into other data, as with a damaged length,
 * single entries are implausible: no program has written them.
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
 * Return false if most of the @n entries at @entries (host byte order) that are not 0 have bits of @reserved set, or an
 * offset (the bits of @offset_mask) that is not cluster aligned or is above @length bytes. Three such entries are
 * forgiven, as a small table may have no others, unless an offset is above @length by more than two bits, or the table
 * is @shared: its cluster has another user, and may be that one's.
 */
bool qcow2_plausible_table(const uint64_t *entries, size_t n, uint64_t reserved, uint64_t offset_mask,
                           const Qcow2HeaderFields *header, uint64_t length, bool shared);

/* Return true if @entry has more bits of @reserved set than a damage of a few bits explains. */
bool qcow2_implausible_entry(uint64_t entry, uint64_t reserved);

/* The same for an L2 entry. */
bool qcow2_implausible_l2_entry(uint64_t entry, const Qcow2HeaderFields *header, uint64_t length);

/* As qcow2_plausible_table(), for the bytes @table of an L2 table. */
bool qcow2_plausible_l2_table(const uint8_t *table, const Qcow2HeaderFields *header, uint64_t length, bool shared);

/*
 * As qcow2_plausible_table(), for a refcount block, whose first count is that of cluster @first: most counts that are
 * not 0 are those of @computed, or small. Nothing is forgiven.
 */
bool qcow2_plausible_refcount_block(const uint8_t *block, const Qcow2HeaderFields *header, uint64_t first,
                                    const RefMap *computed);

#endif
