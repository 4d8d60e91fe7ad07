/*
 * The guest's clusters by their place in the file, from the L2 tables of the active disk and of the snapshots: they
 * name the guest range that uses a host cluster.
 *
 * Neighbouring clusters make one item. There are never more than LIMIT_MAPPINGS items: of a more fragmented image only
 * those are kept that have a guest cluster in them whose number is a multiple of @step. A table that several L1 tables
 * refer to is there once, for the active one if it is among them. What an external data file has is not there.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_MAPPINGS_H
#define BLOCK_MAPPINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAPPING_MAX_TREE ((1u << 30) - 1)

typedef enum MappingKind {
    MAPPING_DATA,       /* as many clusters of the guest, one behind the other */
    MAPPING_COMPRESSED, /* one cluster of the guest; others may share the host clusters */
    MAPPING_L2,         /* an L2 table; the guest clusters from @guest on are its business */
} MappingKind;

typedef struct Mapping {
    uint64_t host;      /* first cluster; not compared with the length of the file */
    uint64_t guest;     /* first cluster */
    uint32_t n;         /* host clusters, at least 1 */
    unsigned tree : 30; /* 0: the active disk; n: the n-th snapshot */
    unsigned kind : 2;  /* a MappingKind */
} Mapping;

/* A plain value; mappings_clear() frees its items. */
typedef struct Mappings {
    Mapping *items; /* sorted by host, then by tree and guest */
    size_t n;
    uint64_t step; /* a power of two; 1: all are there */
} Mappings;

void mappings_clear(Mappings *mappings);

/* Puts the items in order, whatever order they are in. */
void mappings_sort(Mappings *mappings);

#endif
