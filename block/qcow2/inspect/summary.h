/*
 * The fields of the header of an image, for people.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_INSPECT_SUMMARY_H
#define BLOCK_QCOW2_INSPECT_SUMMARY_H

#include "block/qcow2/load/image.h"
#include "qapi/qapi-types.h"

/*
 * Fills @summary, which must be all zero; the caller clears it with qapi_clear_Qcow2Summary(). Returns false if memory
 * is short.
 */
bool qcow2_summary(const Qcow2Image *image, Qcow2Summary *summary);

#endif
