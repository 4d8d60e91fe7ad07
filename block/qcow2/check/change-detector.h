/*
 * Whether an image changed while it was checked: length and time of change of the file, where they can be known, and
 * what every writer that allocates changes sooner or later, the header and the active L1 table, read again.
 *
 * What changes within the clock tick of the first look, and touches neither of the two, goes unnoticed. One thread's.
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

/* Looks at @image, which was opened just before: what changed since then counts too. */
void qcow2_change_detector_begin(Qcow2ChangeDetector *watch, const Qcow2Image *image);

/* Looks again. */
bool qcow2_change_detector_changed(const Qcow2ChangeDetector *watch);

void qcow2_change_detector_clear(Qcow2ChangeDetector *watch);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Qcow2ChangeDetector, qcow2_change_detector_clear)

#endif
