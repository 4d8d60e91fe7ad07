/*
 * The geometry of an image without a header: cluster size, form of L2 entries, width of reference counts; and the
 * refcount table that confirms them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_RESCUE_GEOMETRY_H
#define BLOCK_QCOW2_RESCUE_GEOMETRY_H

#include "block/qcow2/load/refcount-blocks.h"
#include "block/qcow2/rescue/remains.h"
#include "block/qcow2/rescue/tables.h"

typedef struct Qcow2Geometry {
    Qcow2HeaderFields header; /* its geometry; the refcount table, if there is one; all else is zeros */
    GArray *tables;           /* Qcow2FoundTable */
    bool confirmed;           /* a refcount table was found that fits */
} Qcow2Geometry;

/*
 * Finds the geometry from what @scan found; of several that are possible, that of @hints, in their order, comes first.
 * False and @errp set if nothing in the file is a table, or when memory is short.
 */
bool qcow2_find_geometry(BlockSource *source, const BlockReadOptions *options, const Qcow2Scan *scan,
                         const Qcow2Remains *const *hints, size_t n_hints, Qcow2Geometry *geometry, GError **errp);
void qcow2_geometry_clear(Qcow2Geometry *geometry);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Qcow2Geometry, qcow2_geometry_clear)

/* Sets all members of @header that follow from the cluster size and the form of the entries. */
void qcow2_set_geometry(Qcow2HeaderFields *header, unsigned cluster_bits, bool extended, unsigned refcount_order);

/*
 * Returns true if a refcount table is at @offset whose blocks count themselves once and, as often as they should,
 * the header and the table.
 */
bool qcow2_is_refcount_table(BlockSource *source, const Qcow2HeaderFields *header, uint64_t offset);

#endif
