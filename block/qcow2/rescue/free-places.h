/*
 * Free places: numbers of which some are taken, and the next one that is not. Each step takes nearly constant time,
 * however many are taken in a row.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_RESCUE_FREE_PLACES_H
#define BLOCK_QCOW2_RESCUE_FREE_PLACES_H

#include <glib.h>
#include <stdint.h>

/* All are free. Memory: 4 bytes for each number up to the greatest that is taken. */
GArray *qcow2_free_places_new(void);

/* Takes place @i, below 2^32 - 1. */
void qcow2_take_place(GArray *places, uint64_t i);

/* The first place from @from on that is free. */
uint64_t qcow2_free_place(GArray *places, uint64_t from);

#endif
