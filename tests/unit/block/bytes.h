/*
 * Building pieces of images in memory: big-endian stores, and a header that is right in every field.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_UNIT_BLOCK_BYTES_H
#define TESTS_UNIT_BLOCK_BYTES_H

#include <stdint.h>

static inline void put_be(uint8_t *at, unsigned size, uint64_t value)
{
    while (size > 0) {
        at[--size] = value & 0xff;
        value >>= 8;
    }
}

static inline void put_be16(uint8_t *at, uint16_t value)
{
    put_be(at, 2, value);
}

static inline void put_be32(uint8_t *at, uint32_t value)
{
    put_be(at, 4, value);
}

static inline void put_be64(uint8_t *at, uint64_t value)
{
    put_be(at, 8, value);
}

/* Where the fields of a header are (docs/interop/qcow2-format.rst 2). */
enum {
    AT_VERSION = 4,
    AT_BACKING_OFFSET = 8,
    AT_BACKING_SIZE = 16,
    AT_CLUSTER_BITS = 20,
    AT_SIZE = 24,
    AT_CRYPT_METHOD = 32,
    AT_L1_SIZE = 36,
    AT_L1_OFFSET = 40,
    AT_REFTABLE_OFFSET = 48,
    AT_REFTABLE_CLUSTERS = 56,
    AT_NB_SNAPSHOTS = 60,
    AT_SNAPSHOTS_OFFSET = 64,
    AT_INCOMPATIBLE = 72,
    AT_COMPATIBLE = 80,
    AT_AUTOCLEAR = 88,
    AT_REFCOUNT_ORDER = 96,
    AT_HEADER_LENGTH = 100,
    AT_COMPRESSION_TYPE = 104,
    AT_EXTENSIONS = 112, /* with the header_length that put_header() writes */
};

/*
 * Writes the header of a version 3 image of one guest cluster and with 16-bit counts to the 112 bytes at
 * @bytes, all of them zeros: refcount table in cluster 1, active L1 table of one entry in cluster 3.
 */
static inline void put_header(uint8_t *bytes, unsigned cluster_bits)
{
    put_be32(bytes, 0x514649fb);
    put_be32(bytes + AT_VERSION, 3);
    put_be32(bytes + AT_CLUSTER_BITS, cluster_bits);
    put_be64(bytes + AT_SIZE, UINT64_C(1) << cluster_bits);
    put_be32(bytes + AT_L1_SIZE, 1);
    put_be64(bytes + AT_L1_OFFSET, UINT64_C(3) << cluster_bits);
    put_be64(bytes + AT_REFTABLE_OFFSET, UINT64_C(1) << cluster_bits);
    put_be32(bytes + AT_REFTABLE_CLUSTERS, 1);
    put_be32(bytes + AT_REFCOUNT_ORDER, 4);
    put_be32(bytes + AT_HEADER_LENGTH, AT_EXTENSIONS);
}

#endif
