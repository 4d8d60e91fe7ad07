/*
 * Reference counts in the bytes of refcount blocks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/format/refcounts.h"

#include <assert.h>
#include <string.h>

#include "util/number.h"

uint64_t qcow2_refcount_max(const Qcow2HeaderFields *h)
{
    return UINT64_MAX >> (64 - (1u << h->refcount_order));
}

unsigned qcow2_refblock_bits(const Qcow2HeaderFields *h)
{
    return h->cluster_bits + 3 - h->refcount_order;
}

/* Count @i of those narrower than a byte, lowest bits first (docs/interop/qcow2-format.rst 8). */
static uint8_t bits_at(const uint8_t *block, unsigned order, size_t i)
{
    size_t bit = i << order;

    return (uint8_t)(block[bit / 8] >> (bit % 8) & ((1u << (1u << order)) - 1));
}

void qcow2_unpack_refcounts(const uint8_t *block, unsigned order, size_t first, size_t n, uint64_t *counts)
{
    assert(order <= 6);
    switch (order) {
    case 3:
        for (size_t i = 0; i < n; i++) {
            counts[i] = block[first + i];
        }
        break;
    case 4:
        for (size_t i = 0; i < n; i++) {
            counts[i] = load_be16(block + (first + i) * 2);
        }
        break;
    case 5:
        for (size_t i = 0; i < n; i++) {
            counts[i] = load_be32(block + (first + i) * 4);
        }
        break;
    case 6:
        for (size_t i = 0; i < n; i++) {
            counts[i] = load_be64(block + (first + i) * 8);
        }
        break;
    default:
        for (size_t i = 0; i < n; i++) {
            counts[i] = bits_at(block, order, first + i);
        }
    }
}

static void set_bits_at(uint8_t *block, unsigned order, size_t i, uint64_t count)
{
    size_t bit = i << order;
    uint8_t mask = (uint8_t)(((1u << (1u << order)) - 1) << (bit % 8));

    block[bit / 8] = (uint8_t)((block[bit / 8] & ~mask) | (count << (bit % 8) & mask));
}

void qcow2_pack_refcounts(uint8_t *block, unsigned order, size_t first, size_t n, uint64_t count)
{
    assert(order <= 6 && (order == 6 || count >> (1u << order) == 0));
    switch (order) {
    case 3:
        memset(block + first, (int)count, n);
        break;
    case 4:
        for (size_t i = first; i < first + n; i++) {
            store_be16(block + i * 2, (uint16_t)count);
        }
        break;
    case 5:
        for (size_t i = first; i < first + n; i++) {
            store_be32(block + i * 4, (uint32_t)count);
        }
        break;
    case 6:
        for (size_t i = first; i < first + n; i++) {
            store_be64(block + i * 8, count);
        }
        break;
    default:
        for (size_t i = first; i < first + n; i++) {
            set_bits_at(block, order, i, count);
        }
    }
}

bool qcow2_refcounts_all_equal(const uint8_t *bytes, size_t size, unsigned order, uint64_t *count)
{
    size_t period = order > 3 ? 1u << (order - 3) : 1;

    /* memory that equals itself, moved by a count */
    if (memcmp(bytes, bytes + period, size - period)) {
        return false;
    }
    qcow2_unpack_refcounts(bytes, order, 0, 1, count);
    if (order < 3) {
        uint64_t others[8];

        qcow2_unpack_refcounts(bytes, order, 0, 8u >> order, others);
        for (unsigned i = 1; i < 8u >> order; i++) {
            if (others[i] != *count) {
                return false;
            }
        }
    }
    return true;
}

/* Unpacks counts of @width bytes, a constant, into a byte each; false when one of them needs more. */
static inline bool narrow_bytes(const uint8_t *bytes, unsigned width, size_t n, uint8_t *counts)
{
    uint8_t high = 0;

    for (size_t i = 0; i < n; i++) {
        for (unsigned k = 0; k + 1 < width; k++) {
            high |= bytes[i * width + k];
        }
        counts[i] = bytes[i * width + width - 1];
    }
    return !high;
}

bool qcow2_unpack_narrow_refcounts(const uint8_t *bytes, unsigned order, size_t n, uint8_t *counts)
{
    switch (order) {
    case 3:
        return narrow_bytes(bytes, 1, n, counts);
    case 4:
        return narrow_bytes(bytes, 2, n, counts);
    case 5:
        return narrow_bytes(bytes, 4, n, counts);
    case 6:
        return narrow_bytes(bytes, 8, n, counts);
    default:
        for (size_t i = 0; i < n; i++) {
            counts[i] = bits_at(bytes, order, i);
        }
        return true;
    }
}
