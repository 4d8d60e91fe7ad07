/*
 * What frama-c -wp is to take for granted of functions whose bodies it cannot follow: they copy bytes into an integer.
 * frama-c -eva shows that they read nothing else.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_PROOF_CONTRACTS_H
#define TESTS_PROOF_CONTRACTS_H

#include <stdint.h>

/*@ requires \valid_read((const uint8_t *)p + (0 .. 7));
    assigns \nothing; */
static inline uint64_t load_be64(const void *p);

/*@ requires \valid_read((const uint8_t *)p + (0 .. 3));
    assigns \nothing; */
static inline uint32_t load_be32(const void *p);

#endif
