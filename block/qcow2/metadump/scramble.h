/*
 * Replacing names by unreadable ones of the same length: equal names stay equal, different names stay different.
 *
 * Not thread safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_METADUMP_SCRAMBLE_H
#define BLOCK_QCOW2_METADUMP_SCRAMBLE_H

#include <glib.h>
#include <stddef.h>

typedef struct Qcow2Scrambler Qcow2Scrambler;

/* Each scrambler makes its own random choices. */
Qcow2Scrambler *qcow2_scrambler_new(void);
void qcow2_scrambler_free(Qcow2Scrambler *scrambler);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Qcow2Scrambler, qcow2_scrambler_free)

/* Replaces the @size bytes at @name, which may have any value, by lower-case letters. */
void qcow2_scramble(Qcow2Scrambler *scrambler, void *name, size_t size);

#endif
