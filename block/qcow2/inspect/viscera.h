/*
 * The viscera: the places of all metadata, in the types of the schema (qapi/block-core.json).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_INSPECT_VISCERA_H
#define BLOCK_QCOW2_INSPECT_VISCERA_H

#include "block/qcow2/check/metadata-regions.h"

/*
 * The viscera of @image; the caller frees them. NULL and @errp set when memory is short, or with BLOCK_ERROR and E2BIG
 * when so many tables overlap that the result would be out of proportion to the file.
 */
Qcow2Metadata *qcow2_viscera(const Qcow2Image *image, const Qcow2Snapshots *snapshots,
                             const Qcow2BitmapDirectory *bitmaps, const Qcow2Regions *regions, GError **errp);

#endif
