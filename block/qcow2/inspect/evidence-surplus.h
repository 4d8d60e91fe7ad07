/*
 * Surplus: clusters whose stored count is greater than the number of references to them. Where nothing refers to a
 * cluster it is leaked; where something does, another reference to it may have been lost.
 *
 * For a counted check. Any number of threads may ask at once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_INSPECT_EVIDENCE_SURPLUS_H
#define BLOCK_QCOW2_INSPECT_EVIDENCE_SURPLUS_H

#include "block/qcow2/check/check.h"

/* Neighbouring clusters with the same two counts, the stored one being the greater. */
typedef struct Qcow2Surplus {
    uint64_t first; /* cluster */
    uint64_t n;
    uint64_t stored;
    uint64_t references;
} Qcow2Surplus;

/* The next of them among the clusters [@at, @end); false where there is none. */
bool qcow2_next_surplus(const Qcow2Check *check, uint64_t at, uint64_t end, Qcow2Surplus *surplus);

/* How many of the @n clusters from @first on have a surplus. */
uint64_t qcow2_count_surplus(const Qcow2Check *check, uint64_t first, uint64_t n);

/* How many references to @cluster its stored count has room for. */
uint64_t qcow2_surplus_of(const Qcow2Check *check, uint64_t cluster);

#endif
