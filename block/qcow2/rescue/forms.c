/*
 * What a sector may be a part of.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/rescue/forms.h"

#include "util/number.h"

#define WORDS       (QCOW2_SECTOR_SIZE / 8)
#define LEAST_PAIRS 16 /* compressed entries side by side, from which on they decide */
#define FEW_OFFSETS 64 /* below it, all offsets may be multiples of more than the cluster size */

/* The offset of a compressed entry is at least that, whatever the cluster size. */
#define COMPRESSED_OFFSET_MASK ((UINT64_C(1) << (70 - QCOW2_MAX_CLUSTER_BITS)) - 1)

static bool possible_word(uint64_t word, uint64_t length)
{
    uint64_t offset = word & QCOW2_OFFSET_MASK;

    if (word & QCOW2_OFLAG_COMPRESSED) {
        return !(word & QCOW2_OFLAG_COPIED) && (word & COMPRESSED_OFFSET_MASK) < length;
    }
    if (word & QCOW2_L2_RESERVED) {
        return false;
    }
    return offset ? offset < length : word <= QCOW2_OFLAG_ZERO;
}

static bool has_offset(uint64_t word)
{
    return word & (QCOW2_OFFSET_MASK | QCOW2_OFLAG_COMPRESSED);
}

static bool possible_bitmap(uint64_t word, uint64_t bitmap)
{
    if (word & QCOW2_OFLAG_COMPRESSED) {
        return bitmap == 0;
    }
    return !(bitmap & bitmap >> QCOW2_SUBCLUSTERS & UINT32_MAX) && (has_offset(word) || !(bitmap & UINT32_MAX));
}

unsigned qcow2_sector_forms(const uint8_t *sector, uint64_t length)
{
    bool plain = true, extended = true, plain_offset = false, extended_offset = false;

    for (size_t i = 0; i < WORDS && (plain || extended); i += 2) {
        uint64_t word = load_be64(sector + 8 * i), next = load_be64(sector + 8 * i + 8);
        bool possible = possible_word(word, length);

        plain = plain && possible && possible_word(next, length);
        extended = extended && possible && !(word & QCOW2_OFLAG_ZERO && !(word & QCOW2_OFLAG_COMPRESSED)) &&
                   possible_bitmap(word, next);
        plain_offset |= has_offset(word) || has_offset(next);
        extended_offset |= has_offset(word);
    }
    return (plain && plain_offset ? QCOW2_FORM_PLAIN : 0) | (extended && extended_offset ? QCOW2_FORM_EXTENDED : 0);
}

/* ---- votes ---- */

static void vote_for_alignment(Qcow2Votes *votes, uint64_t word)
{
    votes->offsets++;
    for (unsigned i = 0; i < QCOW2_RESCUE_SIZES; i++) {
        votes->aligned[i] += (word & QCOW2_OFFSET_MASK) % (UINT64_C(1) << (QCOW2_MIN_CLUSTER_BITS + i)) == 0;
    }
}

/* A stream begins in the last sector of the one before, or right behind it. */
static bool adjoin(uint64_t word, uint64_t next, unsigned bits)
{
    unsigned shift = 70 - bits;
    uint64_t mask = (UINT64_C(1) << shift) - 1;
    uint64_t last = (word & mask) / QCOW2_SECTOR_SIZE + ((word & ~QCOW2_OFLAG_COMPRESSED) >> shift);
    uint64_t begin = next & mask;

    return begin >= last * QCOW2_SECTOR_SIZE && begin <= (last + 1) * QCOW2_SECTOR_SIZE;
}

static void vote_for_adjacency(Qcow2Votes *votes, uint64_t word, uint64_t next)
{
    votes->pairs++;
    for (unsigned i = 0; i < QCOW2_RESCUE_SIZES; i++) {
        votes->adjacent[i] += adjoin(word, next, QCOW2_MIN_CLUSTER_BITS + i);
    }
}

void qcow2_votes_add(Qcow2Votes *votes, const uint8_t *sector, unsigned form)
{
    unsigned step = form & QCOW2_FORM_PLAIN ? 1 : 2;

    for (size_t i = 0; i < WORDS; i += step) {
        uint64_t word = load_be64(sector + 8 * i);
        uint64_t next = i + step < WORDS ? load_be64(sector + 8 * (i + step)) : 0;

        if (word & QCOW2_OFLAG_COMPRESSED) {
            if (next & QCOW2_OFLAG_COMPRESSED) {
                vote_for_adjacency(votes, word, next);
            }
        } else if (has_offset(word)) {
            vote_for_alignment(votes, word);
        }
    }
}

void qcow2_votes_merge(Qcow2Votes *votes, const Qcow2Votes *others)
{
    votes->offsets += others->offsets;
    votes->pairs += others->pairs;
    for (unsigned i = 0; i < QCOW2_RESCUE_SIZES; i++) {
        votes->aligned[i] += others->aligned[i];
        votes->adjacent[i] += others->adjacent[i];
    }
}

/* Nearly all offsets are multiples of it. */
static bool fits(const Qcow2Votes *votes, unsigned i)
{
    return votes->aligned[i] >= votes->offsets - votes->offsets / 16;
}

/* The only size for which nearly all streams adjoin; QCOW2_RESCUE_SIZES if there is none. */
static unsigned decided_by_pairs(const Qcow2Votes *votes)
{
    unsigned found = QCOW2_RESCUE_SIZES;

    if (votes->pairs < LEAST_PAIRS) {
        return found;
    }
    for (unsigned i = 0; i < QCOW2_RESCUE_SIZES; i++) {
        if (votes->adjacent[i] >= votes->pairs - votes->pairs / 16 && fits(votes, i)) {
            if (found < QCOW2_RESCUE_SIZES) {
                return QCOW2_RESCUE_SIZES;
            }
            found = i;
        }
    }
    return found;
}

unsigned qcow2_votes_order(const Qcow2Votes *votes, unsigned *bits)
{
    unsigned n = 0, decided = decided_by_pairs(votes);
    bool many = votes->offsets >= FEW_OFFSETS;

    if (decided < QCOW2_RESCUE_SIZES) {
        bits[n++] = QCOW2_MIN_CLUSTER_BITS + decided;
    }
    for (unsigned i = QCOW2_RESCUE_SIZES; i-- > 0 && !(many && n);) {
        if (fits(votes, i) && i != decided) {
            bits[n++] = QCOW2_MIN_CLUSTER_BITS + i;
        }
    }
    return n;
}
