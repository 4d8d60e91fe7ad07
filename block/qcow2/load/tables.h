/*
 * Tables of 8-byte entries (L1 tables, bitmap tables), each byte of them read once however many tables share it.
 *
 * Snapshots may share an L1 table, and in a hostile image thousands of tables may overlap. So the union of all tables
 * is held, cut into spans whose slots belong to the same tables: a span has the number of tables that it is part of as
 * its weight, and a slot is examined once with that weight. Memory and time follow the bytes of the file that are
 * tables, never the sizes claimed: beyond the end of the file there are only zeros, which are not held.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_LOAD_TABLES_H
#define BLOCK_QCOW2_LOAD_TABLES_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "block/io/prefetch.h"

typedef struct Qcow2TableSpan {
    uint64_t offset; /* of the first slot in the file, bytes; a multiple of 8 */
    uint64_t n;      /* slots */
    uint64_t weight; /* tables that have these slots */
    uint64_t active; /* how many of those are the active one */
    uint64_t *slots; /* n values in host byte order; NULL where all are zeros, or reading failed */
    int error;       /* negative errno value then, else 0 */
} Qcow2TableSpan;

typedef struct Qcow2Tables Qcow2Tables;

Qcow2Tables *qcow2_tables_new(void);
void qcow2_tables_free(Qcow2Tables *tables);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Qcow2Tables, qcow2_tables_free)

/* Adds a table of @entries (1 .. 2^32-1) at @offset, a multiple of 8, whose end is no more than 2^63 - 1. */
void qcow2_tables_add(Qcow2Tables *tables, uint64_t offset, uint64_t entries, bool active);

/* Reads all tables that were added. Once. False and @errp set when memory is short; errors of reading are per span. */
bool qcow2_tables_load(Qcow2Tables *tables, BlockSource *source, const BlockReadOptions *options, GError **errp);

/* The spans, sorted by offset, not overlapping. */
const Qcow2TableSpan *qcow2_tables_spans(const Qcow2Tables *tables, size_t *n);

/*
 * The part of a table that is in one span, for going through a table in its order: *slots gets the slots from
 * index @first of the table at @offset with @entries on. Returns their number; 0 at the end of what is held.
 * Indexes that no span holds are zeros, and are passed over: *first is moved to the first that is returned.
 */
uint64_t qcow2_tables_part(const Qcow2Tables *tables, uint64_t offset, uint64_t entries, uint64_t *first,
                           const uint64_t **slots);

/*
 * The first part of a table, from its entry *first on, that could not be read: *first gets its first entry, *error the
 * negative errno value. Returns the number of entries; 0 where there is none.
 */
uint64_t qcow2_tables_unread_part(const Qcow2Tables *tables, uint64_t offset, uint64_t entries, uint64_t *first,
                                  int *error);

/* 0, or the error with which a part of the table at @offset could not be read. */
int qcow2_tables_error(const Qcow2Tables *tables, uint64_t offset, uint64_t entries);

#endif
