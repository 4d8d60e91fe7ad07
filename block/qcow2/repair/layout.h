/*
 * Where the structures of an image are, sound or not, by what refers to them; and what guest data lies on them.
 *
 * A damaged pointer makes a structure of anything, so structures can lie on one another and on guest data. A cluster is
 * changed only where it is known what else that changes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_REPAIR_LAYOUT_H
#define BLOCK_QCOW2_REPAIR_LAYOUT_H

#include "block/clusters/ranges.h"
#include "block/qcow2/repair/input.h"

/* An L2 entry whose data lies on metadata; see overlap.h. */
typedef struct GuestOverlap {
    GArray *entries;           /* OverlappedEntry, sorted by table and index; NULL = none */
    RefMap *reads;             /* how often a guest reads a cluster of metadata by them; NULL = never */
    uint64_t uncounted_beyond; /* first cluster beyond the end that compressed data is in which is not counted */
} GuestOverlap;

typedef struct MetadataLayout {
    const Qcow2Check *check;
    const Qcow2HeaderFields *header; /* of the image */
    uint64_t file_clusters;          /* of the file, a last one that is not whole included */
    Qcow2Counting metadata;          /* references to metadata only */
    GArray *structures;              /* Qcow2ClusterRange: of each structure that anything refers to; sorted */
    GArray *uncounted;               /* those of them that the counts lack; sorted */
    GArray *uncounted_others;        /* those of these that are no L1 tables; sorted */
    uint64_t cut_off;                /* offset of the first that reaches out of the file; UINT64_MAX = none does */
    GuestOverlap overlap;
} MetadataLayout;

/* Finds out where structures are. Cleared in any case by layout_clear(). */
bool layout_init(MetadataLayout *layout, const Qcow2Check *check, GError **errp);
void layout_clear(MetadataLayout *layout);

/* Notes a reference to a place, whether it is valid or not. Structures are to be sorted again. */
void layout_add_structure(MetadataLayout *layout, uint64_t offset, uint64_t size);

/*
 * The cluster that the file may grow up to: nothing may be appended where a reference leads, nor in the cluster
 * before that, as a region that is no more than a cluster beyond the end counts as inside.
 */
uint64_t layout_append_end(const MetadataLayout *layout);

/* Returns true if anything refers to a structure in @cluster; *end is set to the cluster behind it. */
bool layout_in_structure(const MetadataLayout *layout, uint64_t cluster, uint64_t *end);

/* How often there is an L2 table that begins where @cluster does. */
uint64_t layout_l2_tables_in(const MetadataLayout *layout, uint64_t cluster);

/* Returns true if the metadata in @cluster are @l2 aligned L2 tables and L1 tables, of which *l1 is set to the number.
 */
bool layout_only_tables_in(const MetadataLayout *layout, uint64_t cluster, uint64_t l2, uint64_t *l1);

/* Returns true if an unaligned L2 table reaches into @cluster, whose words are then also its entries. */
bool layout_in_unaligned_table(const MetadataLayout *layout, uint64_t cluster);

/* Returns true if @cluster has a part of a structure that reaches out of the file, of which the counts know nothing. */
bool layout_in_uncounted(const MetadataLayout *layout, uint64_t cluster);

/* Returns true if @cluster has metadata that is no L2 table. */
bool layout_in_use(const MetadataLayout *layout, uint64_t cluster);

/* Returns true if there is an L2 table with @weight references and no other metadata. */
bool layout_sole_table(const MetadataLayout *layout, uint64_t offset, uint64_t weight);

/* Returns true if, in addition, no unaligned L2 table overlaps it. */
bool layout_table_writable(const MetadataLayout *layout, uint64_t offset, uint64_t weight);

/* Returns true if @cluster, with @metadata references to structures, has more users: guest data, or what may be. */
bool layout_overlapped(const MetadataLayout *layout, uint64_t cluster, uint64_t metadata);

/* Returns true if any cluster with metadata is. */
bool layout_any_overlapped(const MetadataLayout *layout);

/* Returns true if a guest reads the metadata in @cluster as its data: nothing is written there. */
static inline bool layout_read_by_guest(const MetadataLayout *layout, uint64_t cluster)
{
    return layout->overlap.reads && refmap_get(layout->overlap.reads, cluster);
}

/* Returns true if the 8 bytes at @offset are a word of one structure only, and nobody reads them as anything else. */
bool layout_word_writable(const MetadataLayout *layout, uint64_t offset);

/*
 * Returns true if a reference to a structure other than an L2 table leads to the header: the
 * header's words are its entries, and a repair would change what a guest reads. An L2 table is not read there.
 */
bool layout_header_overlapped(const MetadataLayout *layout);

#endif
