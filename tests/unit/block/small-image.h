/*
 * A small image in memory that has one of everything, to be spoiled by a test.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_UNIT_BLOCK_SMALL_IMAGE_H
#define TESTS_UNIT_BLOCK_SMALL_IMAGE_H

#include <glib.h>

#include "bytes.h"

#define CLUSTER 65536
#define COPIED  (UINT64_C(1) << 63)

/* What lies in which cluster. */
enum {
    HEADER,
    REFTABLE,
    REFBLOCK,
    ACTIVE_L1,
    L2_A,
    L2_B,
    DATA_A,
    DATA_B,
    SNAPSHOTS,
    SNAPSHOT_L1,
    L2_C, /* of the snapshot only */
    DATA_C,
    DIRECTORY,
    BITMAP_TABLE,
    BITMAP_DATA,
    LEAK, /* counted as used, and is not */
    CLUSTERS
};

#define AT(cluster) ((uint64_t)(cluster)*CLUSTER)

static inline void put_refcount(uint8_t *bytes, unsigned cluster, uint16_t count)
{
    put_be16(bytes + AT(REFBLOCK) + 2 * cluster, count);
}

static inline void put_header_and_extensions(uint8_t *bytes)
{
    put_header(bytes, 16);
    put_be64(bytes + AT_SIZE, UINT64_C(1) << 30); /* two L1 entries */
    put_be32(bytes + AT_L1_SIZE, 2);
    put_be32(bytes + AT_NB_SNAPSHOTS, 1);
    put_be64(bytes + AT_SNAPSHOTS_OFFSET, AT(SNAPSHOTS));
    put_be64(bytes + AT_AUTOCLEAR, 1);
    put_be32(bytes + AT_EXTENSIONS, 0x23852875);
    put_be32(bytes + AT_EXTENSIONS + 4, 24);
    put_be32(bytes + AT_EXTENSIONS + 8, 1);
    put_be64(bytes + AT_EXTENSIONS + 16, 32);
    put_be64(bytes + AT_EXTENSIONS + 24, AT(DIRECTORY));
}

static inline void put_snapshot(uint8_t *bytes)
{
    put_be64(bytes + AT(SNAPSHOTS), AT(SNAPSHOT_L1));
    put_be32(bytes + AT(SNAPSHOTS) + 8, 1);
    put_be16(bytes + AT(SNAPSHOTS) + 12, 1);
    put_be16(bytes + AT(SNAPSHOTS) + 14, 1);
    put_be32(bytes + AT(SNAPSHOTS) + 36, 16);
    bytes[AT(SNAPSHOTS) + 56] = '1';
    bytes[AT(SNAPSHOTS) + 57] = 's';
    put_be64(bytes + AT(SNAPSHOT_L1), AT(L2_C));
    put_be64(bytes + AT(L2_C), AT(DATA_C));
}

static inline void put_bitmap(uint8_t *bytes)
{
    put_be64(bytes + AT(DIRECTORY), AT(BITMAP_TABLE));
    put_be32(bytes + AT(DIRECTORY) + 8, 1); /* 1 GiB in bits of 64 KiB: one cluster */
    bytes[AT(DIRECTORY) + 16] = 1;
    bytes[AT(DIRECTORY) + 17] = 16;
    put_be16(bytes + AT(DIRECTORY) + 18, 1);
    bytes[AT(DIRECTORY) + 24] = 'b';
    put_be64(bytes + AT(BITMAP_TABLE), AT(BITMAP_DATA));
}

/* An image with two L2 tables, a snapshot and a bitmap, in which one leaked cluster is all that is wrong; g_free() it.
 */
static inline uint8_t *small_image_new(void)
{
    uint8_t *bytes = g_malloc0(AT(CLUSTERS));

    put_header_and_extensions(bytes);
    put_be64(bytes + AT(REFTABLE), AT(REFBLOCK));
    for (unsigned i = 0; i < CLUSTERS; i++) {
        put_refcount(bytes, i, 1);
    }
    put_be64(bytes + AT(ACTIVE_L1), COPIED | AT(L2_A));
    put_be64(bytes + AT(ACTIVE_L1) + 8, COPIED | AT(L2_B));
    put_be64(bytes + AT(L2_A), COPIED | AT(DATA_A));
    put_be64(bytes + AT(L2_B), COPIED | AT(DATA_B));
    put_snapshot(bytes);
    put_bitmap(bytes);
    return bytes;
}

/* Puts eight entries at random into tables: some right, some wrong, some over one another. */
static inline void small_image_spoil(uint8_t *bytes, GRand *random)
{
    static const unsigned tables[] = {ACTIVE_L1, L2_A, L2_B, SNAPSHOT_L1, L2_C, BITMAP_TABLE, REFTABLE};

    for (unsigned i = 0; i < 8; i++) {
        unsigned table = tables[g_rand_int_range(random, 0, G_N_ELEMENTS(tables))];
        uint64_t entry = AT(g_rand_int_range(random, 0, CLUSTERS + 2));

        entry |= g_rand_boolean(random) ? COPIED : g_rand_boolean(random) ? UINT64_C(1) << 62 : 0;
        entry |= g_rand_int_range(random, 0, 4) ? 0 : 1u << g_rand_int_range(random, 0, 16);
        put_be64(bytes + AT(table) + 8 * g_rand_int_range(random, 0, 3), entry);
    }
}

#endif
