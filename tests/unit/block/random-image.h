/*
 * Images of random tables that lie over one another: 64 clusters of 512 bytes, with snapshots and bitmaps. Their random
 * numbers are those of g_test_rand_int().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_UNIT_BLOCK_RANDOM_IMAGE_H
#define TESTS_UNIT_BLOCK_RANDOM_IMAGE_H

#include <string.h>

#include "bytes.h"

#define BITS     9
#define CLUSTER  (1 << BITS)
#define CLUSTERS 64
#define AT(n)    ((uint64_t)(n) << BITS)

enum { REFTABLE = 1, REFBLOCK = 2, L1 = 3, SNAPSHOTS = 4, DIRECTORY = 6, FIRST_FREE = 8 };

static inline unsigned up_to(unsigned most)
{
    return g_test_rand_int_range(0, (int)most + 1);
}

/* Mostly a pointer into the file; sometimes one beyond it, odd bits, or nothing. */
static inline uint64_t random_entry(void)
{
    uint64_t offset = AT(up_to(CLUSTERS + CLUSTERS / 8));

    switch (up_to(7)) {
    case 0:
        return 0;
    case 1:
        return offset | (up_to(1) ? 1 : 3) | (uint64_t)up_to(1) << 63;
    case 2:
        return offset | UINT64_C(1) << 62;
    case 3:
        return offset | UINT64_C(1) << (56 + up_to(5));
    default:
        return offset | (uint64_t)up_to(1) << 63;
    }
}

static inline void put_snapshots(uint8_t *bytes, unsigned n)
{
    uint8_t *entry = bytes + AT(SNAPSHOTS);

    put_be32(bytes + AT_NB_SNAPSHOTS, n);
    put_be64(bytes + AT_SNAPSHOTS_OFFSET, AT(SNAPSHOTS));
    for (unsigned i = 0; i < n; i++, entry += 64) {
        put_be64(entry, AT(FIRST_FREE + up_to(8)));
        put_be32(entry + 8, up_to(512));
        put_be16(entry + 12, 1);
        put_be16(entry + 14, 1);
        put_be32(entry + 36, 16);
        entry[56] = (uint8_t)('1' + i);
        entry[57] = 'n';
    }
}

static inline void put_bitmaps(uint8_t *bytes, unsigned n)
{
    uint8_t *entry = bytes + AT(DIRECTORY);

    put_be64(bytes + AT_AUTOCLEAR, 1);
    put_be32(bytes + AT_EXTENSIONS, 0x23852875);
    put_be32(bytes + AT_EXTENSIONS + 4, 24);
    put_be32(bytes + AT_EXTENSIONS + 8, n);
    put_be64(bytes + AT_EXTENSIONS + 16, 32 * n);
    put_be64(bytes + AT_EXTENSIONS + 24, AT(DIRECTORY));
    for (unsigned i = 0; i < n; i++, entry += 32) {
        put_be64(entry, AT(FIRST_FREE + up_to(40)));
        put_be32(entry + 8, 256); /* 1 GiB in bits of 1 KiB */
        entry[16] = 1;
        entry[17] = 10;
        put_be16(entry + 18, 1);
        entry[24] = (uint8_t)('a' + i);
    }
}

/* AT(CLUSTERS) bytes. The caller frees them. */
static inline uint8_t *random_image(void)
{
    uint8_t *bytes = g_malloc0(AT(CLUSTERS));

    put_header(bytes, BITS);
    put_be64(bytes + AT_SIZE, UINT64_C(1) << 30);
    put_be32(bytes + AT_L1_SIZE, 32768); /* far beyond the end of the file */
    put_be32(bytes + AT_REFCOUNT_ORDER, up_to(6));
    for (unsigned i = 0; i < CLUSTER / 8; i++) {
        put_be64(bytes + AT(REFTABLE) + i * 8, up_to(4) ? AT(REFBLOCK) : random_entry());
    }
    for (unsigned at = AT(REFBLOCK); at < AT(CLUSTERS); at += 8) {
        put_be64(bytes + at, random_entry());
    }
    memset(bytes + AT(SNAPSHOTS), 0, AT(FIRST_FREE - SNAPSHOTS));
    put_snapshots(bytes, up_to(12));
    put_bitmaps(bytes, 1 + up_to(7));
    return bytes;
}

#endif
