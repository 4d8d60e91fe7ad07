/*
 * The decoders of block/qcow2/format/ on inputs of which nothing is known, for frama-c -eva (docs/devel/proof.rst).
 * prove.d/decoders runs each function of the name prove_*. BITS is the greatest cluster size, log2.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <__fc_builtin.h>

#include "block/qcow2/format/entries.h"
#include "block/qcow2/format/format.h"
#include "block/qcow2/format/l2.h"
#include "block/qcow2/format/refcounts.h"

#ifndef BITS
#define BITS 21
#endif
#define SIZE ((size_t)1 << BITS)

static uint8_t bytes[SIZE];

/* Field values of an accepted header, and more. */
static Qcow2HeaderFields any_header(void)
{
    Qcow2HeaderFields h;

    Frama_C_make_unknown((char *)&h, sizeof(h));
    h.cluster_bits = Frama_C_unsigned_int_interval(QCOW2_MIN_CLUSTER_BITS, BITS);
    h.incompatible_features = Frama_C_unsigned_int_interval(0, QCOW2_INCOMPAT_KNOWN);
    //@ split h.cluster_bits;
    //@ split h.incompatible_features;
    h.refcount_order = Frama_C_unsigned_int_interval(0, QCOW2_MAX_REFCOUNT_ORDER);
    h.cluster_size = UINT64_C(1) << h.cluster_bits;
    h.l2_bits = h.cluster_bits - (qcow2_has_extended_l2(&h) ? 4 : 3);
    return h;
}

void prove_header(void)
{
    Qcow2HeaderFields h;

    Frama_C_make_unknown((char *)bytes, SIZE);
    qcow2_decode_header(bytes, Frama_C_unsigned_int_interval(sizeof(Qcow2DiskHeader), SIZE), &h);
}

void prove_extensions(void)
{
    Qcow2HeaderFields h = any_header();
    Qcow2ExtensionRecord record;
    Qcow2Extensions e;
    size_t size = Frama_C_unsigned_int_interval(sizeof(Qcow2DiskHeader), SIZE);
    uint32_t length;
    uint64_t at = Frama_C_unsigned_long_interval(0, SIZE);
    bool more;

    h.header_length = Frama_C_unsigned_int_interval(QCOW2_V2_HEADER_LENGTH, SIZE);
    h.backing_file_offset = Frama_C_unsigned_long_interval(0, SIZE);
    Frama_C_make_unknown((char *)bytes, SIZE);
    qcow2_decode_extensions(bytes, size, &h, &e, &more, &length);
    qcow2_next_extension(bytes, size, &h, &at, &record);
}

/* An entry of any value. Each is of exactly one kind, and what the kind promises is true of it. */
void prove_entry(void)
{
    Qcow2HeaderFields h = any_header();
    Qcow2L2Shape shape = qcow2_l2_shape(&h);
    uint64_t word = Frama_C_unsigned_long_interval(0, UINT64_MAX);
    uint64_t bitmap = Frama_C_unsigned_long_interval(0, UINT64_MAX);
    Qcow2L2Item item = qcow2_l2_decode_entry(&shape, 0, word, bitmap);

    /*@ check item.kind == QCOW2_L2_NOTHING || item.kind == QCOW2_L2_RUN || item.kind == QCOW2_L2_UNALIGNED ||
              item.kind == QCOW2_L2_COMPRESSED; */
    if (item.kind == QCOW2_L2_COMPRESSED) {
        /*@ check 1 <= item.length <= 8192 * 512; */
    }
}

void prove_refcounts(void)
{
    static uint64_t wide[64];
    static uint8_t narrow[64];
    unsigned order = Frama_C_unsigned_int_interval(0, QCOW2_MAX_REFCOUNT_ORDER);
    size_t in_block, first, n;
    uint64_t count;

    //@ split order;
    in_block = SIZE * 8 >> order;
    first = Frama_C_unsigned_long_interval(0, in_block - 64);
    n = Frama_C_unsigned_long_interval(0, 64);
    count = Frama_C_unsigned_long_interval(0, UINT64_MAX >> (64 - (1u << order)));
    Frama_C_make_unknown((char *)bytes, SIZE);
    qcow2_unpack_refcounts(bytes, order, first, n, wide);
    qcow2_unpack_narrow_refcounts(bytes, order, n, narrow);
    qcow2_refcounts_all_equal(bytes, SIZE, order, &wide[0]);
    qcow2_pack_refcounts(bytes, order, first, n, count);
}

void prove_entries(void)
{
    Qcow2HeaderFields h = any_header();
    Qcow2SnapshotFields s;
    Qcow2BitmapFields b;
    uint64_t word = Frama_C_unsigned_long_interval(0, UINT64_MAX);
    uint64_t length;

    Frama_C_make_unknown((char *)bytes, SIZE);
    s = qcow2_decode_snapshot(bytes);
    b = qcow2_decode_bitmap(bytes);
    length = qcow2_snapshot_length(&s);
    /*@ check sizeof(Qcow2DiskSnapshot) <= length <= sizeof(Qcow2DiskSnapshot) + 0xffffffff + 2 * 0xffff; */
    length = qcow2_bitmap_length(&b);
    /*@ check sizeof(Qcow2DiskBitmapEntry) <= length; */
    qcow2_bitmap_fault(&b, &h);
    qcow2_bitmap_table_fault(word, &h);
}
