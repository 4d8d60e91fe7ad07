/*
 * Names made unreadable, of the same length: where the same name stands twice, so does what replaces it; different
 * names stay different.
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

/* With random choices: the same name becomes another one with each scrambler. */
Qcow2Scrambler *qcow2_scrambler_new(void);
void qcow2_scrambler_free(Qcow2Scrambler *scrambler);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Qcow2Scrambler, qcow2_scrambler_free)

/* Replaces the name of @size bytes at @name, which may be any bytes, by lower-case letters. */
void qcow2_scramble(Qcow2Scrambler *scrambler, void *name, size_t size);

#endif
