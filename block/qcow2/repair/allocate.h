/*
 * Where something new may go: where no structure is, or is said to be, and nothing is counted; else behind the end of
 * the file. A place that the image referred to when the repair began is not used again in the same repair, nor is one
 * that an earlier pass has reserved: so all that is new can be written before anything else.
 *
 * The file does not grow over a place that something refers to already: what was said to lie behind its end would be
 * inside then, and look like data.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_REPAIR_ALLOCATE_H
#define BLOCK_QCOW2_REPAIR_ALLOCATE_H

#include "block/qcow2/repair/blocks.h"

typedef struct Allocator {
    TargetCounts *targets;
    Reserved *reserved;
    GArray *ranges;         /* Qcow2ClusterRange: reserved by this pass, and not counted by an edit yet */
    uint64_t next_free;     /* no cluster below is free */
    uint64_t next_reused;   /* nor one whose count is not known, and that is not empty */
    bool header_overlapped; /* there would be something to refer to from the header, but a guest reads that */
} Allocator;

void allocator_init(Allocator *a, TargetCounts *targets, Reserved *reserved);
void allocator_clear(Allocator *a);

/*
 * Finds @n clusters in a row where nothing lies, and wants a count of @weight for them. Sets *offset, to 0 where there
 * is no place for them: nothing fits in the file, and something is said to lie right behind its end.
 */
bool allocator_reserve(Allocator *a, uint64_t n, uint64_t weight, uint64_t *offset, GError **errp);

/* Wants a count for @n references more to @cluster, which is in use from now on. */
bool allocator_add_references(Allocator *a, uint64_t cluster, uint64_t n, GError **errp);

/* Gives back what was reserved in this pass. */
bool allocator_release(Allocator *a, uint64_t offset, uint64_t n, GError **errp);

/*
 * Adds the edits that count, for @why, what was reserved since the last call, as far as there are blocks for that.
 * Others are made when it is found that there are none.
 */
void allocator_add_counts(Allocator *a, Edits *edits, ImageCheckFindingKind why);

/* Returns true if the header may be changed. */
bool allocator_header_writable(Allocator *a);

#endif
