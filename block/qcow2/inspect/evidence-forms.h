/*
 * Whether the bytes of a leaked cluster have the form of a table.
 *
 * Nearly all that leaks is data, and is not mistaken for a table: each word of a table that is not 0 has reserved bits
 * that are clear and an offset that is cluster aligned and within the file. A few damaged entries among many sound ones
 * do not matter.
 *
 * Pure, no I/O.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_INSPECT_EVIDENCE_FORMS_H
#define BLOCK_QCOW2_INSPECT_EVIDENCE_FORMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "block/qcow2/format/header.h"

/* So many damaged entries are borne by @sound ones. */
static inline uint64_t qcow2_bearable_damage(uint64_t sound)
{
    return sound / 16;
}

/*
 * Whether the @size bytes at @bytes, from the beginning of a cluster, can be those of an L2 table; @length is that of
 * the file. Zeros can.
 */
bool qcow2_may_be_l2(const uint8_t *bytes, size_t size, const Qcow2HeaderFields *header, uint64_t length);

/*
 * Whether many entries of the L2 table at @bytes, a whole cluster, say that their clusters read as zeros: such a table
 * hides what a backing file has.
 */
bool qcow2_is_l2_of_zeros(const uint8_t *bytes, const Qcow2HeaderFields *header);

/* Whether @word can be an L1 entry that refers to a table. */
bool qcow2_may_be_l1_entry(uint64_t word, const Qcow2HeaderFields *header, uint64_t length);

/* The same as qcow2_may_be_l2() of an L1 table. */
bool qcow2_may_be_l1(const uint8_t *bytes, size_t size, const Qcow2HeaderFields *header, uint64_t length);

/* Whether the @size bytes at @bytes, at least 512, begin with an entry of a snapshot table. */
bool qcow2_may_be_snapshot_table(const uint8_t *bytes, size_t size, const Qcow2HeaderFields *header, uint64_t length);

/* The length of the snapshot table entry that begins at @bytes, at least 40 of them, padding included. */
uint64_t qcow2_snapshot_entry_length(const uint8_t *bytes);

#endif
