/*
 * Where a fault is: the words and ranges that a finding names. Pure.
 *
 * A structure is the one that has the faulty word; where a reference count is wrong, or something cannot be read, it is
 * what the clusters are used as.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_FINDINGS_LOCATION_H
#define BLOCK_QCOW2_FINDINGS_LOCATION_H

#include <stdbool.h>
#include <stdint.h>

#include "block/qcow2/format/header.h"
#include "qapi/qapi-types.h"

/* Offsets and sizes are bytes. What is not known, or does not apply, has its flag false, or its size 0. */
typedef struct Qcow2Location {
    ImageCheckStructure structure;
    bool has_entry;
    bool has_refcount;
    bool has_reference;
    uint64_t entry_offset;   /* of the word, in the file */
    uint64_t cluster_offset; /* the range of the file that it concerns */
    uint64_t cluster_size;
    uint64_t guest_offset; /* the range of the guest's disk behind it */
    uint64_t guest_size;
    const char *snapshot; /* whose tree it is in; NULL = the active one, or none; borrowed, and lives with the check */
    const char *bitmap;   /* whose table or bits it is; NULL = none; borrowed */
    uint64_t refcount;    /* as stored */
    uint64_t reference;   /* as counted */
} Qcow2Location;

/* The word at @entry_offset, which is in a @structure and refers to @size bytes at @offset of the file. */
Qcow2Location qcow2_location(ImageCheckStructure structure, uint64_t entry_offset, uint64_t offset, uint64_t size);

/* The same where no word is at fault. */
Qcow2Location qcow2_location_range(ImageCheckStructure structure, uint64_t offset, uint64_t size);

/*
 * Takes the part of the guest's range that the disk has. What a snapshot maps behind the end of the disk is the state
 * of the machine, and stays.
 */
void qcow2_location_set_guest(Qcow2Location *location, const Qcow2HeaderFields *header, uint64_t offset, uint64_t size);

/* Entry @index of an L1 table, which lies at @slot of the file and has @value. */
Qcow2Location qcow2_location_l1_entry(const Qcow2HeaderFields *header, const char *snapshot, uint64_t slot,
                                      uint64_t index, uint64_t value);

/* Entry @index of the L2 table that @l1_entry refers to, @index_l1 in its L1 table, without a range of the file. */
Qcow2Location qcow2_location_l2_entry(const Qcow2HeaderFields *header, const Qcow2Location *l1_entry, uint64_t l1_index,
                                      uint32_t index);

#endif
