/*
 * Repairs of a small image: the guest reads the same, nothing is worse, a second repair changes nothing, and all of
 * that after a crash too.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_PROOF_SMALL_REPAIRS_H
#define TESTS_PROOF_SMALL_REPAIRS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct RepairsPlan {
    bool crashes;
    unsigned exhaustive; /* up to so many unflushed sectors, all sets of them are tried; otherwise prefixes, each by
                            itself, all but each, and some at random */
} RepairsPlan;

typedef struct RepairsDone {
    uint64_t repairs; /* that changed something */
    uint64_t states;  /* after a crash */
    uint64_t bounded; /* repairs with a step of which not all sets were tried */
} RepairsDone;

/* What is wrong with the repairs, of leaks and of all, of the @length bytes at @bytes; to be freed, or NULL. */
char *repairs_fail(const uint8_t *bytes, uint64_t length, const RepairsPlan *plan, RepairsDone *done);

#endif
