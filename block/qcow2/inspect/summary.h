/*
 * The fields of the header of an image, for people.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_INSPECT_SUMMARY_H
#define BLOCK_QCOW2_INSPECT_SUMMARY_H

#include "block/qcow2/load/image.h"
#include "qapi/qapi-types.h"

/* Fills @facts, which must be all zero; the caller clears it with qapi_clear_Qcow2Summary(). False when memory is
 * short. */
bool qcow2_summary(const Qcow2Image *image, Qcow2Summary *facts);

#endif
