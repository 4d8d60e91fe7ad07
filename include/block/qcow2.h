/*
 * The qcow2 driver: opening an image for a check, and checking it.
 *
 * A check never writes. It bounds everything that the image claims by the length of its source.
 *
 * Not thread safe: one image belongs to one thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_H
#define BLOCK_QCOW2_H

#include "block/qcow2-check.h"
#include "block/qcow2-image.h"

/*
 * Checks @image. What cannot be read or trusted is counted as an error and passed over, and the rest is still
 * checked. False and @errp set, and @result empty, when memory is short or @options->reported refuses.
 */
bool qcow2_check(Qcow2Image *image, const Qcow2CheckOptions *options, Qcow2CheckResult *result, GError **errp);
void qcow2_check_result_clear(Qcow2CheckResult *result);

#endif
