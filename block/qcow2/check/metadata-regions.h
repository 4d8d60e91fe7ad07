/*
 * The regions of metadata in the stock tool's order (docs/interop/check-behaviour.rst 3.2): listed once, and visited
 * twice, for counting and for reporting.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_CHECK_METADATA_REGIONS_H
#define BLOCK_QCOW2_CHECK_METADATA_REGIONS_H

#include "block/qcow2/load/bitmap-directory.h"
#include "block/qcow2/load/image.h"
#include "block/qcow2/load/snapshot-table.h"
#include "block/qcow2/load/tables.h"
#include "block/qcow2/check/slot-list.h"
#include "block/qcow2/check/tree-report.h"

/* An L1 table. */
typedef struct Qcow2Tree {
    uint64_t offset;
    uint64_t entries;
    guint widest; /* which ends last of this tree and those before it: an index in Qcow2Regions.trees */
    int snapshot; /* index in the snapshot table; QCOW2_TREE_ACTIVE = the active table */
} Qcow2Tree;

#define QCOW2_TREE_ACTIVE (-1)

typedef struct Qcow2Regions {
    const Qcow2Image *image;
    GArray *items;               /* the regions */
    Qcow2Tables *l1_tables;      /* all L1 tables that can be followed */
    Qcow2Tables *bitmap_tables;  /* all bitmap tables that can be followed */
    Qcow2Slots bad_bitmap_slots; /* bitmap table entries with something to report */
    GArray *trees;               /* Qcow2Tree, sorted by offset: the L1 tables that can be followed */
    const Qcow2Tree *active;     /* that of the active table; NULL where it cannot be followed */
} Qcow2Regions;

/* Lists the regions of @image and reads the tables. All that is passed is borrowed. False when memory is short. */
bool qcow2_regions_init(Qcow2Regions *regions, const Qcow2Image *image, const Qcow2Snapshots *snapshots,
                        const Qcow2BitmapDirectory *bitmaps, const BlockReadOptions *options, GError **errp);
void qcow2_regions_clear(Qcow2Regions *regions);

/*
 * The tree whose L1 table has the entry at @slot of the file, and the index of the entry; the active one if it is among
 * several, else the one that ends last. NULL where there is none. In time logarithmic in the number of trees, however
 * they lie over one another.
 */
const Qcow2Tree *qcow2_regions_find_tree(const Qcow2Regions *regions, uint64_t slot, uint64_t *l1_index);

/* Counts every region, but for what the trees below the L1 tables refer to. False when memory is short. */
bool qcow2_regions_count(Qcow2Regions *regions, Qcow2Counting *counting, GError **errp);

/* Reports the faults of every region, the trees included, once the counting is finished. */
void qcow2_regions_report(Qcow2Regions *regions, Qcow2Counting *counting, Qcow2TreeReport *trees, Qcow2Report *report);

#endif
