/*
 * Detects whether an image changed while it was checked. It compares length and time of change of the file, where they
 * are known, and the bytes of header and active L1 table, which every writer that allocates changes sooner or later.
 *
 * A change within the clock tick of qcow2_change_detector_begin() that touches neither of the two goes unnoticed. Not
 * thread safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_CHECK_CHANGE_DETECTOR_H
#define BLOCK_QCOW2_CHECK_CHANGE_DETECTOR_H

#include <stdbool.h>

#include "block/qcow2/load/image.h"

typedef struct Qcow2ChangeDetector {
    const Qcow2Image *image; /* borrowed */
    char *content;           /* checksum of header and L1 table */
} Qcow2ChangeDetector;

/* Takes the state of @image, which was opened just before; a change since then counts, too. */
void qcow2_change_detector_begin(Qcow2ChangeDetector *watch, const Qcow2Image *image);

/* Compares the state with that of now. */
bool qcow2_change_detector_changed(const Qcow2ChangeDetector *watch);

void qcow2_change_detector_clear(Qcow2ChangeDetector *watch);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Qcow2ChangeDetector, qcow2_change_detector_clear)

#endif
