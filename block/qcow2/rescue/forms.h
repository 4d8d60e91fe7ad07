/*
 * Forms: what a sector may be a part of, while the cluster size is not known; and votes, from which it follows.
 *
 * A word of a table that is not 0 has reserved bits that are clear, and an offset within the file. Data hardly ever has
 * that 64 times in a row. Offsets are multiples of the cluster size, and half of them of no larger power of two.
 *
 * Pure, no I/O.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_RESCUE_FORMS_H
#define BLOCK_QCOW2_RESCUE_FORMS_H

#include <stdbool.h>
#include <stdint.h>

#include "block/qcow2/format/format.h"

#define QCOW2_RESCUE_SIZES (QCOW2_MAX_CLUSTER_BITS - QCOW2_MIN_CLUSTER_BITS + 1) /* different cluster sizes */

/* The forms that a sector has; an extended L2 table has pairs of words. */
enum { QCOW2_FORM_PLAIN = 1, QCOW2_FORM_EXTENDED = 2 };

typedef struct Qcow2Votes {
    uint64_t offsets;                      /* words with an offset */
    uint64_t aligned[QCOW2_RESCUE_SIZES];  /* of them those that are multiples of this cluster size */
    uint64_t pairs;                        /* compressed entries side by side */
    uint64_t adjacent[QCOW2_RESCUE_SIZES]; /* of them those whose streams adjoin in the file, with this cluster size */
} Qcow2Votes;

/* Returns the forms that the 512 bytes at @sector can be of, in a file of @length bytes; 0 for zeros. */
unsigned qcow2_sector_forms(const uint8_t *sector, uint64_t length);

/* Adds the votes of a sector, which has the form @form. */
void qcow2_votes_add(Qcow2Votes *votes, const uint8_t *sector, unsigned form);
void qcow2_votes_merge(Qcow2Votes *votes, const Qcow2Votes *others);

/* Cluster sizes as bits, the likeliest first: sets @bits and returns how many. At most QCOW2_RESCUE_SIZES. */
unsigned qcow2_votes_order(const Qcow2Votes *votes, unsigned *bits);

#endif
