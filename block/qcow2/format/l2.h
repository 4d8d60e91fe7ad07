/*
 * One L2 table: its bytes to runs of clusters, one by one. Pure: plain C11, no I/O, nothing allocated. The hot loop of
 * a check, and so what is usual stands in this header.
 *
 * A run is a row of guest clusters whose host clusters follow one another. Nothing here is compared with the length of
 * the file. load/l2-result.h collects what is found here. docs/devel/proof.rst shows that each word is of one kind, and
 * that no run leaves its table.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_FORMAT_L2_H
#define BLOCK_QCOW2_FORMAT_L2_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "block/qcow2/format/header.h"
#include "util/number.h"

/* What the L2 tables of an image have in common. */
typedef struct Qcow2L2Shape {
    uint32_t n;          /* entries */
    unsigned entry_size; /* bytes: 8, or 16 with extended L2 entries */
    unsigned cluster_bits;
    uint64_t cluster_size;
    bool extended;
    bool data_file;
    uint64_t unusual; /* bits that no plain aligned entry has */
} Qcow2L2Shape;

typedef enum Qcow2L2Kind {
    QCOW2_L2_NOTHING,    /* unallocated, reads as zeros, or compressed where that cannot be */
    QCOW2_L2_RUN,        /* clusters at an aligned offset */
    QCOW2_L2_UNALIGNED,  /* a cluster at another offset */
    QCOW2_L2_COMPRESSED, /* compressed data */
} Qcow2L2Kind;

/* Faults of an entry, a bit each; those of one entry are in stock order from the lowest bit on. */
enum {
    QCOW2_L2_COMPRESSED_COPIED = 1 << 0,
    QCOW2_L2_COMPRESSED_WITH_DATA_FILE = 1 << 1,
    QCOW2_L2_COMPRESSED_WITH_SUBCLUSTERS = 1 << 2,
    QCOW2_L2_RESERVED_BITS = 1 << 3,
    QCOW2_L2_UNALLOCATED_WITH_SUBCLUSTERS = 1 << 4,
    QCOW2_L2_SUBCLUSTERS_CONTRADICT = 1 << 5,
    QCOW2_L2_DATA_UNALIGNED = 1 << 6,
    QCOW2_L2_PREALLOCATED_UNALIGNED = 1 << 7,
};
#define QCOW2_L2_FAULTS 8

/* One entry, or several that are a run. */
typedef struct Qcow2L2Item {
    Qcow2L2Kind kind;
    uint32_t index;  /* of the first entry in the table */
    uint32_t n;      /* entries, at least 1; more than that only of a run */
    uint32_t length; /* bytes of a cluster, or of compressed data; of nothing any */
    uint64_t offset; /* host offset, bytes; of nothing any */
    uint64_t word;   /* the first entry as it is stored */
    unsigned faults; /* a set of the bits above; a run of several has none */
} Qcow2L2Item;

Qcow2L2Shape qcow2_l2_shape(const Qcow2HeaderFields *header);

#define QCOW2_L2_MAX_ENTRIES (UINT32_C(1) << (QCOW2_MAX_CLUSTER_BITS - 3))

/* The kinds as the format has them. Each word is of exactly one. */
/*@ predicate is_compressed(Qcow2L2Shape *s, uint64_t word, uint64_t bitmap) =
      (word & QCOW2_OFLAG_COMPRESSED) != 0 && !s->data_file && bitmap == 0;
    predicate is_cluster(Qcow2L2Shape *s, uint64_t word) =
      (word & QCOW2_OFLAG_COMPRESSED) == 0 &&
      ((word & QCOW2_OFFSET_MASK) != 0 ||
       (s->data_file && (word & QCOW2_OFLAG_COPIED) != 0 && (s->extended || (word & QCOW2_OFLAG_ZERO) == 0)));
    predicate is_kind(Qcow2L2Kind kind, Qcow2L2Shape *s, uint64_t word, uint64_t bitmap) =
      (kind == QCOW2_L2_COMPRESSED <==> is_compressed(s, word, bitmap)) &&
      (kind == QCOW2_L2_RUN <==> is_cluster(s, word) && (word & QCOW2_OFFSET_MASK) % s->cluster_size == 0) &&
      (kind == QCOW2_L2_UNALIGNED <==> is_cluster(s, word) && (word & QCOW2_OFFSET_MASK) % s->cluster_size != 0) &&
      (kind == QCOW2_L2_NOTHING <==> !is_compressed(s, word, bitmap) && !is_cluster(s, word)); */

/* Decodes the entry @word, number @index of its table, whose subcluster bitmap is @bitmap (0: it has none). */
/*@ requires \valid_read(s) && 9 <= s->cluster_bits <= 21 && s->cluster_size > 0;
    assigns \nothing;
    ensures \result.index == index && \result.n == 1 && \result.word == word;
    ensures is_kind(\result.kind, s, word, bitmap);
    ensures is_cluster(s, word) ==> \result.offset == (word & QCOW2_OFFSET_MASK); */
Qcow2L2Item qcow2_l2_decode_entry(const Qcow2L2Shape *s, uint32_t index, uint64_t word, uint64_t bitmap);

/* The number of bits of the offset of compressed data: x of docs/interop/qcow2-format.rst 6.1. */
/*@ assigns \nothing;
    ensures \result == 70 - cluster_bits; */
static inline unsigned qcow2_l2_offset_bits(unsigned cluster_bits)
{
    return 70 - cluster_bits;
}

/* The extent of the compressed cluster of @word in the file; the COPIED flag is ignored. */
/*@ requires QCOW2_MIN_CLUSTER_BITS <= cluster_bits <= QCOW2_MAX_CLUSTER_BITS;
    assigns \nothing; */
static inline uint64_t qcow2_l2_compressed_offset(unsigned cluster_bits, uint64_t word)
{
    return word & ((UINT64_C(1) << qcow2_l2_offset_bits(cluster_bits)) - 1);
}

/*@ requires QCOW2_MIN_CLUSTER_BITS <= cluster_bits <= QCOW2_MAX_CLUSTER_BITS;
    assigns \nothing; */
static inline uint32_t qcow2_l2_compressed_length(unsigned cluster_bits, uint64_t word)
{
    uint64_t more = (word & ~(QCOW2_OFLAG_COMPRESSED | QCOW2_OFLAG_COPIED)) >> qcow2_l2_offset_bits(cluster_bits);

    return (uint32_t)((more + 1) * QCOW2_SECTOR_SIZE - word % QCOW2_SECTOR_SIZE);
}

/* Returns true if there is compressed data behind @word: it is of that kind, and nothing makes that impossible. */
/*@ requires \valid_read(s);
    assigns \nothing;
    ensures \result <==> is_compressed(s, word, bitmap); */
static inline bool qcow2_l2_is_compressed(const Qcow2L2Shape *s, uint64_t word, uint64_t bitmap)
{
    return (word & QCOW2_OFLAG_COMPRESSED) && !s->data_file && !bitmap;
}

/* Bytes of one entry: 8, or 16 with extended L2 entries. */
static inline unsigned qcow2_l2_entry_size(const Qcow2HeaderFields *h)
{
    return qcow2_has_extended_l2(h) ? 16 : 8;
}

/*@ requires \valid_read(s) && i < QCOW2_L2_MAX_ENTRIES && s->entry_size <= 16;
    requires \valid_read(table + (i * s->entry_size .. i * s->entry_size + 7));
    assigns \nothing; */
static inline uint64_t qcow2_l2_word(const Qcow2L2Shape *s, const uint8_t *table, uint32_t i)
{
    return load_be64(table + (size_t)i * s->entry_size);
}

/* Bit i: subcluster i is allocated; bit 32 + i: it reads as zeros. 0 without extended L2 entries. */
/*@ requires \valid_read(s) && i < QCOW2_L2_MAX_ENTRIES;
    requires s->extended ==> \valid_read(table + (i * 16 .. i * 16 + 15));
    assigns \nothing; */
static inline uint64_t qcow2_l2_bitmap(const Qcow2L2Shape *s, const uint8_t *table, uint32_t i)
{
    return s->extended ? load_be64(table + (size_t)i * 16 + 8) : 0;
}

/*@ assigns \nothing; */
static inline bool qcow2_l2_bitmap_contradicts(uint64_t bitmap)
{
    return bitmap & bitmap >> QCOW2_SUBCLUSTERS & UINT32_MAX;
}

/* The first j in [i, end) whose entry is not @expected + (j - i) << cluster_bits, or @end. No extended entries. */
/*@ requires i <= end <= QCOW2_L2_MAX_ENTRIES && \valid_read(s) && \valid_read(table + (0 .. end * 8 - 1));
    assigns \nothing;
    ensures i <= \result <= end; */
static inline uint32_t qcow2_l2_plain_run_end(const Qcow2L2Shape *s, const uint8_t *table, uint32_t i, uint32_t end,
                                              uint64_t expected)
{
    const uint8_t *p = table + (size_t)i * 8;

    /* eight at a time: one branch, and nothing in it waits for anything else */
    /*@ loop invariant \at(i, Pre) <= i <= end && p == table + i * 8;
        loop assigns i, p, expected;
        loop variant end - i; */
    for (; i + 8 <= end; i += 8, p += 64, expected += 8 * s->cluster_size) {
        uint64_t differing = 0;

        /*@ loop invariant k <= 8;
            loop assigns k, differing;
            loop variant 8 - k; */
        for (unsigned k = 0; k < 8; k++) {
            differing |= load_be64(p + (size_t)k * 8) ^ (expected + k * s->cluster_size);
        }
        if (differing) {
            break;
        }
    }
    /*@ loop invariant \at(i, Pre) <= i <= end && p == table + i * 8;
        loop assigns i, p, expected;
        loop variant end - i; */
    while (i < end && load_be64(p) == expected) {
        i++;
        p += 8;
        expected += s->cluster_size;
    }
    return i;
}

/* The same for extended entries, whose bitmaps must make sense too. */
/*@ requires i <= end <= QCOW2_L2_MAX_ENTRIES && \valid_read(s) && s->entry_size == 16;
    requires \valid_read(table + (0 .. end * 16 - 1));
    assigns \nothing;
    ensures i <= \result <= end; */
static inline uint32_t qcow2_l2_extended_run_end(const Qcow2L2Shape *s, const uint8_t *table, uint32_t i, uint32_t end,
                                                 uint64_t expected)
{
    /*@ loop invariant \at(i, Pre) <= i <= end;
        loop assigns i, expected;
        loop variant end - i; */
    while (i < end && qcow2_l2_word(s, table, i) == expected &&
           !qcow2_l2_bitmap_contradicts(qcow2_l2_bitmap(s, table, i))) {
        i++;
        expected += s->cluster_size;
    }
    return i;
}

/*@ predicate is_table(Qcow2L2Shape *s, uint8_t *table) =
      \valid_read(s) && s->n <= QCOW2_L2_MAX_ENTRIES && s->entry_size == (s->extended ? 16 : 8) &&
      9 <= s->cluster_bits <= 21 && s->cluster_size > 0 &&
      (s->extended ? \valid_read(table + (0 .. s->n * 16 - 1))
                                                 : \valid_read(table + (0 .. s->n * 8 - 1))); */

/* The number of entries from @i on that are a run beginning with @word, which is a usual one. */
/*@ requires is_table(s, table) && i < s->n;
    assigns \nothing;
    ensures 1 <= \result <= s->n - i; */
static inline uint32_t qcow2_l2_run_length(const Qcow2L2Shape *s, const uint8_t *table, uint32_t i, uint64_t word)
{
    /* offsets that would carry into the reserved bits are no continuation */
    uint64_t room = (QCOW2_OFFSET_MASK - (word & QCOW2_OFFSET_MASK)) >> s->cluster_bits;
    uint32_t left = s->n - i - 1;
    uint32_t end = i + 1 + (room < left ? (uint32_t)room : left);
    uint64_t next = word + s->cluster_size;

    return (s->extended ? qcow2_l2_extended_run_end(s, table, i + 1, end, next)
                        : qcow2_l2_plain_run_end(s, table, i + 1, end, next)) -
           i;
}

/*
 * Decodes the entry @i, less than shape->n, of the table of one cluster at @table, with those that continue its run.
 * The next entry to decode is item.index + item.n.
 */
/*@ requires is_table(s, table) && i < s->n;
    assigns \nothing;
    ensures \result.index == i && 1 <= \result.n <= s->n - i;
    ensures \result.n > 1 ==> \result.kind == QCOW2_L2_RUN && \result.faults == 0; */
static inline Qcow2L2Item qcow2_l2_item_at(const Qcow2L2Shape *s, const uint8_t *table, uint32_t i)
{
    uint64_t word = qcow2_l2_word(s, table, i);
    uint64_t bitmap = qcow2_l2_bitmap(s, table, i);

    if (!(word & s->unusual) && (word & QCOW2_OFFSET_MASK) && !qcow2_l2_bitmap_contradicts(bitmap)) {
        return (Qcow2L2Item){
            .kind = QCOW2_L2_RUN,
            .index = i,
            .n = qcow2_l2_run_length(s, table, i, word),
            .length = (uint32_t)s->cluster_size,
            .offset = word & QCOW2_OFFSET_MASK,
            .word = word,
        };
    }
    if (!word && !bitmap) {
        return (Qcow2L2Item){.kind = QCOW2_L2_NOTHING, .index = i, .n = 1};
    }
    if (qcow2_l2_is_compressed(s, word, bitmap) && !(word & QCOW2_OFLAG_COPIED)) {
        return (Qcow2L2Item){
            .kind = QCOW2_L2_COMPRESSED,
            .index = i,
            .n = 1,
            .length = qcow2_l2_compressed_length(s->cluster_bits, word),
            .offset = qcow2_l2_compressed_offset(s->cluster_bits, word),
            .word = word,
        };
    }
    return qcow2_l2_decode_entry(s, i, word, bitmap);
}

#endif
