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

typedef struct Qcow2Watch {
    const Qcow2Image *image; /* borrowed */
    char *content;           /* checksum of header and L1 table */
} Qcow2Watch;

/* Looks at @image, which was opened just before: what changed since then counts too. */
void qcow2_watch_begin(Qcow2Watch *watch, const Qcow2Image *image);

/* Looks again. */
bool qcow2_watch_changed(const Qcow2Watch *watch);

void qcow2_watch_clear(Qcow2Watch *watch);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Qcow2Watch, qcow2_watch_clear)

#endif
