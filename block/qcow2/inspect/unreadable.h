/*
 * Ranges of the guest's disk that cannot be read as they were written, by their L2 entries: reading fails, or the file
 * ends before their data. The stock tool's check passes over some of them.
 *
 * Found in the first pass over the tables; damaged compressed data is added when it was read. Memory is bounded: of
 * more than QCOW2_MAX_UNREADABLE ranges in a thread only the number of clusters is kept. Not thread safe; the visitor
 * is called by several threads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_INSPECT_UNREADABLE_H
#define BLOCK_QCOW2_INSPECT_UNREADABLE_H

#include "block/qcow2/check/check.h"

#define QCOW2_MAX_UNREADABLE 65536

typedef enum Qcow2UnreadableReason {
    QCOW2_UNREADABLE_FOUND,          /* the entry is a finding of the check: it is unaligned, or contradicts itself */
    QCOW2_UNREADABLE_BEYOND_END,     /* the same: the cluster begins behind the end of the file; it reads as zeros */
    QCOW2_UNREADABLE_ZERO_IN_V2,     /* a cluster that reads as zeros, in version 2, which has none */
    QCOW2_UNREADABLE_OFF_PLACE,      /* the offset in an external data file is not that of the guest */
    QCOW2_UNREADABLE_COMPRESSED_CUT, /* the file ends within compressed data, or before it */
    QCOW2_UNREADABLE_DATA_CUT,       /* the file ends within a plain cluster; its rest reads as zeros */

    /* Compressed data, where it is verified (qcow2/inspect/compressed.h): */
    QCOW2_UNREADABLE_NOT_READ,     /* reading it failed */
    QCOW2_UNREADABLE_ZEROS,        /* there are zeros in its place */
    QCOW2_UNREADABLE_SHORT,        /* it is less than a cluster */
    QCOW2_UNREADABLE_OTHER_FORMAT, /* it is valid in the format that the header does not name */
    QCOW2_UNREADABLE_INVALID,      /* it is damaged */
} Qcow2UnreadableReason;

/* Entries in a row with one reason. */
typedef struct Qcow2Unreadable {
    Qcow2UnreadableReason reason;
    uint64_t table;  /* of the L2 table in the file, bytes */
    uint64_t slot;   /* of an L1 entry that refers to it; of the active table if any does */
    uint64_t offset; /* in the file, of the data of the first entry; 0: none */
    uint32_t length; /* of that of each; 0: none */
    uint32_t index;  /* of the first entry */
    uint32_t n;      /* entries, at least 1 */
} Qcow2Unreadable;

typedef struct Qcow2UnreadableFinder Qcow2UnreadableFinder;

/* Says in words what is wrong with compressed data that was read. Static. */
const char *qcow2_compressed_problem(const Qcow2HeaderFields *header, Qcow2UnreadableReason reason);

/* For a check of @image, before it begins. @image is borrowed. */
Qcow2UnreadableFinder *qcow2_unreadable_new(const Qcow2Image *image);
void qcow2_unreadable_free(Qcow2UnreadableFinder *finder);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Qcow2UnreadableFinder, qcow2_unreadable_free)

/* The visitor for qcow2_check_count(). */
const Qcow2TableVisitor *qcow2_unreadable_visitor(const Qcow2UnreadableFinder *finder);

/* Adds the compressed cluster of @extent in @table. Called by thread @worker, as the visitor is. */
void qcow2_unreadable_add_compressed(Qcow2UnreadableFinder *finder, unsigned worker, Qcow2UnreadableReason reason,
                                     const Qcow2TableRef *table, const Qcow2Extent *extent);

/*
 * All ranges: Qcow2Unreadable, sorted by L1 entry and index; the caller frees them. *@more: clusters that are not among
 * them. After qcow2_check_count().
 */
GArray *qcow2_unreadable_finish(Qcow2UnreadableFinder *finder, uint64_t *more);

/* The place of @range, and the first tree that has it; NULL where none has. */
const Qcow2Tree *qcow2_unreadable_location(const Qcow2Check *check, const Qcow2Unreadable *range,
                                           Qcow2Location *location);

/* Notes those that are no findings of the check in its collector. */
void qcow2_unreadable_note(Qcow2Check *check, const GArray *ranges);

#endif
