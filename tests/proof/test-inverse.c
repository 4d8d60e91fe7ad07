/*
 * Decoding, then encoding: the identity, for the words of block/qcow2/format/. The encoders stand here, written from
 * docs/interop/qcow2-format.rst; docs/devel/proof.rst has the bounds.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <string.h>

#include "block/qcow2/format/entries.h"
#include "block/qcow2/format/format.h"
#include "block/qcow2/format/l2.h"
#include "block/qcow2/format/refcounts.h"

#define COPIED     (UINT64_C(1) << 63)
#define COMPRESSED (UINT64_C(1) << 62)

/* Writes the lowest @n bytes of @value, the most significant one first. */
static void encode(uint8_t *to, unsigned n, uint64_t value)
{
    for (unsigned i = 0; i < n; i++) {
        to[i] = (uint8_t)(value >> 8 * (n - 1 - i));
    }
}

static Qcow2L2Shape shape_of(unsigned cluster_bits, bool extended)
{
    Qcow2HeaderFields h = {
        .version = 3,
        .cluster_bits = cluster_bits,
        .cluster_size = UINT64_C(1) << cluster_bits,
        .l2_bits = cluster_bits - (extended ? 4 : 3),
        .incompatible_features = extended ? 0x10 : 0,
    };

    return qcow2_l2_shape(&h);
}

/* The word that section 6 has for an item; of an entry that is no compressed one, @flags are the bits of no offset. */
static uint64_t encode_l2(const Qcow2L2Shape *s, const Qcow2L2Item *item, uint64_t flags)
{
    if (item->kind == QCOW2_L2_COMPRESSED) {
        unsigned x = 62 - (s->cluster_bits - 8);
        uint64_t sectors = (item->offset % 512 + item->length) / 512 - 1;

        g_assert_cmpuint((item->offset % 512 + item->length) % 512, ==, 0);
        return flags | COMPRESSED | sectors << x | item->offset;
    }
    return flags | (item->kind == QCOW2_L2_NOTHING ? 0 : item->offset);
}

/* A word by itself, and as the first of a table whose others are 0. */
static void check_l2_word(const Qcow2L2Shape *s, uint64_t word, uint64_t bitmap)
{
    uint8_t entries[3 * 16] = {0};
    Qcow2L2Shape few = *s;
    Qcow2L2Item item = qcow2_l2_decode_entry(s, 0, word, bitmap), first;
    bool compressed = (word & COMPRESSED) && !bitmap;
    uint64_t flags = word & (compressed ? COPIED : ~UINT64_C(0x00fffffffffffe00));

    encode(entries, 8, word);
    encode(entries + 8, 8, s->extended ? bitmap : 0);
    few.n = 3;
    first = qcow2_l2_item_at(&few, entries, 0);
    g_assert_cmpint(first.kind, ==, item.kind);
    g_assert_cmpuint(first.faults, ==, item.faults);
    g_assert_cmpuint(first.n, ==, 1);
    if (item.kind != QCOW2_L2_NOTHING) {
        g_assert_cmpuint(first.offset, ==, item.offset);
        g_assert_cmpuint(first.length, ==, item.length);
    }
    g_assert_cmpint(item.kind == QCOW2_L2_COMPRESSED, ==, compressed);
    if (item.kind != QCOW2_L2_NOTHING || !(word & COMPRESSED)) {
        g_assert_cmphex(encode_l2(s, &item, flags), ==, word);
    }
}

/* Every word with at most three bits that differ from 0, or from all ones, or from a pattern. */
static void test_l2_bits(void)
{
    const uint64_t bases[] = {0, UINT64_MAX, UINT64_C(0x5555555555555555), COMPRESSED, COPIED, 1 << 20};

    for (unsigned bits = 9; bits <= 21; bits++) {
        for (unsigned extended = 0; extended <= (bits >= 14); extended++) {
            Qcow2L2Shape s = shape_of(bits, extended);

            for (unsigned b = 0; b < G_N_ELEMENTS(bases); b++) {
                for (unsigned i = 0; i < 64; i++) {
                    for (unsigned j = i; j < 64; j++) {
                        uint64_t two = bases[b] ^ UINT64_C(1) << i ^ UINT64_C(1) << j;

                        check_l2_word(&s, two, extended ? UINT64_C(1) << j : 0);
                        for (unsigned k = j; k < 64; k++) {
                            check_l2_word(&s, two ^ UINT64_C(1) << k, 0);
                        }
                    }
                }
            }
        }
    }
}

/* Compressed data of every length in sectors, at each place within one. */
static void test_l2_compressed(void)
{
    for (unsigned bits = 9; bits <= 21; bits++) {
        Qcow2L2Shape s = shape_of(bits, false);
        unsigned x = 70 - bits;

        for (uint64_t sectors = 0; sectors < UINT64_C(1) << (bits - 8); sectors++) {
            for (uint64_t at = 0; at<512; at += bits> 16 ? 73 : 1) {
                uint64_t offset = (UINT64_C(1) << (x - 1)) + at, word = COMPRESSED | sectors << x | offset;
                Qcow2L2Item item = qcow2_l2_decode_entry(&s, 0, word, 0);

                g_assert_cmphex(item.offset, ==, offset);
                g_assert_cmpuint(item.length, ==, (sectors + 1) * 512 - at);
                check_l2_word(&s, word, 0);
            }
        }
    }
}

/* A number of an entry: where it lies, and what it was decoded to. */
typedef struct Field {
    unsigned at, size; /* bytes */
    uint64_t value;
} Field;

static void check_fields(const uint8_t *bytes, int size, const Field *fields, unsigned n)
{
    g_autofree uint8_t *again = g_memdup2(bytes, (size_t)size);

    for (unsigned i = 0; i < n; i++) {
        memset(again + fields[i].at, 0xa5, fields[i].size);
        encode(again + fields[i].at, fields[i].size, fields[i].value);
    }
    g_assert_cmpmem(again, size, bytes, size);
}

static void check_header(const uint8_t *bytes)
{
    Qcow2HeaderFields h;

    qcow2_decode_header(bytes, 112, &h);
    const Field fields[] = {
        {4, 4, h.version},
        {8, 8, h.backing_file_offset},
        {16, 4, h.backing_file_size},
        {20, 4, h.cluster_bits},
        {24, 8, h.size},
        {32, 4, h.crypt_method},
        {36, 4, h.l1_size},
        {40, 8, h.l1_table_offset},
        {48, 8, h.refcount_table_offset},
        {56, 4, h.refcount_table_clusters},
        {60, 4, h.nb_snapshots},
        {64, 8, h.snapshots_offset},
        {72, 8, h.incompatible_features},
        {88, 8, h.autoclear_features},
        {96, 4, h.refcount_order},
        {100, 4, h.header_length},
    };

    check_fields(bytes, 112, fields, h.version >= 3 ? G_N_ELEMENTS(fields) : 12);
}

static void check_snapshot(const uint8_t *bytes)
{
    Qcow2SnapshotFields s = qcow2_decode_snapshot(bytes);
    const Field fields[] = {
        {0, 8, s.l1_table_offset}, {8, 4, s.l1_size},        {12, 2, s.id_size},         {14, 2, s.name_size},
        {20, 4, s.date_nsec},      {32, 4, s.vm_state_size}, {36, 4, s.extra_data_size},
    };

    check_fields(bytes, 40, fields, G_N_ELEMENTS(fields));
}

static void check_bitmap(const uint8_t *bytes)
{
    Qcow2BitmapFields b = qcow2_decode_bitmap(bytes);
    const Field fields[] = {
        {0, 8, b.table_offset},      {8, 4, b.table_size}, {12, 4, b.flags},           {16, 1, b.type},
        {17, 1, b.granularity_bits}, {18, 2, b.name_size}, {20, 4, b.extra_data_size},
    };

    check_fields(bytes, 24, fields, G_N_ELEMENTS(fields));
}

/* Two bytes at a time take every value, with zeros, ones and a count around them. */
static void check_every_byte(unsigned size, void (*check)(const uint8_t *bytes))
{
    uint8_t bytes[112];

    for (unsigned around = 0; around < 3; around++) {
        for (unsigned i = 0; i + 1 < size; i++) {
            for (unsigned k = 0; k < size; k++) {
                bytes[k] = (uint8_t)(around == 0 ? 0 : around == 1 ? 0xff : k + 1);
            }
            for (unsigned value = 0; value <= 0xffff; value++) {
                encode(bytes + i, 2, value);
                check(bytes);
            }
        }
    }
}

static void test_header(void)
{
    check_every_byte(112, check_header);
}

static void test_snapshot(void)
{
    check_every_byte(40, check_snapshot);
}

static void test_bitmap(void)
{
    check_every_byte(24, check_bitmap);
}

/* Packs a count at a place of a block with @fill, unpacks the block, and has every other count as it was. */
static void check_refcount(unsigned order, unsigned at, uint64_t count, uint8_t fill)
{
    unsigned width = 1u << order; /* bits */
    uint8_t block[64], expected[64];
    uint64_t counts[512];
    size_t n = sizeof(block) * 8 / width;

    memset(block, fill, sizeof(block));
    memcpy(expected, block, sizeof(block));
    if (width < 8) {
        unsigned shift = at * width % 8, mask = ((1u << width) - 1) << shift;
        uint8_t *byte = &expected[at * width / 8];

        *byte = (uint8_t)((*byte & ~mask) | (unsigned)count << shift);
    } else {
        encode(expected + at * (width / 8), width / 8, count);
    }
    qcow2_pack_refcounts(block, order, at, 1, count);
    g_assert_cmpmem(block, sizeof(block), expected, sizeof(expected));
    qcow2_unpack_refcounts(block, order, 0, n, counts);
    g_assert_cmphex(counts[at], ==, count);
    for (unsigned i = 0; i < n; i++) {
        qcow2_pack_refcounts(block, order, i, 1, counts[i]);
    }
    g_assert_cmpmem(block, sizeof(block), expected, sizeof(expected));
}

static void test_refcounts(void)
{
    for (unsigned order = 0; order <= 6; order++) {
        unsigned width = 1u << order, n = 512 / width;
        uint64_t max = UINT64_MAX >> (64 - width);

        for (unsigned at = 0; at < n; at += order < 4 || at == 0 ? 1 : n - 2) {
            if (order <= 4) {
                for (uint64_t count = 0; count <= max; count++) {
                    check_refcount(order, at, count, 0);
                    check_refcount(order, at, count, 0xff);
                }
                continue;
            }
            for (unsigned byte = 0; byte + 2 <= width / 8; byte++) {
                for (uint64_t value = 0; value <= 0xffff; value++) {
                    check_refcount(order, at, value << 8 * byte, 0xff);
                    check_refcount(order, at, max ^ value << 8 * byte, 0);
                }
            }
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/inverse/l2/bits", test_l2_bits);
    g_test_add_func("/inverse/l2/compressed", test_l2_compressed);
    g_test_add_func("/inverse/header", test_header);
    g_test_add_func("/inverse/snapshot", test_snapshot);
    g_test_add_func("/inverse/bitmap", test_bitmap);
    g_test_add_func("/inverse/refcounts", test_refcounts);
    return g_test_run();
}
