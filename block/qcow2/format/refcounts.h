/*
 * Reference counts in the bytes of refcount blocks: unpacking and packing them. Pure, no I/O.
 *
 * A count has 2^order bits, order being 0 .. 6. Counts narrower than a byte begin at the lowest bits of a byte, wider
 * ones are big-endian (docs/interop/qcow2-format.rst 8).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_FORMAT_REFCOUNTS_H
#define BLOCK_QCOW2_FORMAT_REFCOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "block/qcow2/format/header.h"

/* The greatest count that fits the width of @header's counts. */
uint64_t qcow2_refcount_max(const Qcow2HeaderFields *header);

/* log2 of the number of counts in a block. */
unsigned qcow2_refblock_bits(const Qcow2HeaderFields *header);

/* Unpacks the @n counts from index @first on of the refcount block at @block. */
void qcow2_unpack_refcounts(const uint8_t *block, unsigned order, size_t first, size_t n, uint64_t *counts);

/*
 * Unpacks the first @n counts at @bytes into a byte each. Returns false if one of them does not fit; the counts are
 * worth nothing then.
 */
bool qcow2_unpack_narrow_refcounts(const uint8_t *bytes, unsigned order, size_t n, uint8_t *counts);

/* Returns true and sets *count if all counts in the @size bytes at @bytes (a multiple of 8) are the same. */
bool qcow2_refcounts_all_equal(const uint8_t *bytes, size_t size, unsigned order, uint64_t *count);

/* Sets the @n counts from index @first on of the refcount block at @block to @count, which fits the width. */
void qcow2_pack_refcounts(uint8_t *block, unsigned order, size_t first, size_t n, uint64_t count);

#endif
