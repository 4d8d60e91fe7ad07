/*
 * What is wrong in L2 tables, kept by table until it is reported.
 *
 * Each thread that decodes tables keeps faults of its own; since a table is decoded once, they are merged without
 * a conflict. Tables may overlap, and then there are many more faults than a file has bytes: beyond a quota, faults are
 * kept as numbers only. Which ones depends on the order in which threads find them, so all are made numbers then, and
 * a table is decoded again when it is reported. Not thread safe, but for the quota, which threads share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_CHECK_FAULTS_H
#define BLOCK_QCOW2_CHECK_FAULTS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "block/qcow2/load/l2-result.h"

/* Faults of one kind of which nothing but their number is kept. */
typedef struct Qcow2MoreFaults {
    ImageCheckFindingKind kind;
    uint64_t n;
} Qcow2MoreFaults;

/* Wrong COPIED flags of @n entries in a row, whose clusters follow one another and have the same stored count. */
typedef struct Qcow2CopiedFault {
    uint32_t index; /* of the first entry */
    uint32_t n;     /* at least 1 */
    uint64_t entry; /* the first; in each further one the offset is a cluster more, and the rest the same */
    uint64_t count;
} Qcow2CopiedFault;

typedef struct Qcow2TableFaults {
    GArray *faults;       /* Qcow2L2Fault, in stock order: reported for every reference to the table */
    GArray *copied;       /* Qcow2CopiedFault, in stock order: reported for references from the active L1 table only */
    GArray *more;         /* Qcow2MoreFaults, one for each kind: those that are not among the faults; NULL: none */
    uint64_t more_copied; /* wrong COPIED flags that are only a number */
    uint64_t forgotten;   /* kinds of faults that were removed: a set of QCOW2_FINDING_BIT() */
} Qcow2TableFaults;

typedef struct Qcow2Faults Qcow2Faults;

/* @quota, if not NULL, is how many faults may be kept in full; it is counted down, and outlives the faults. */
Qcow2Faults *qcow2_faults_new(uint64_t *quota);
void qcow2_faults_free(Qcow2Faults *faults);

/* Returns true if no table has a fault. */
bool qcow2_faults_empty(const Qcow2Faults *faults);

/*
 * Adds a fault to the table at @table. Faults of one entry stay in the order in which they are added. That a table
 * cannot be read is kept in full in any case.
 */
void qcow2_faults_add(Qcow2Faults *faults, uint64_t table, const Qcow2L2Fault *fault);
void qcow2_faults_add_copied(Qcow2Faults *faults, uint64_t table, const Qcow2CopiedFault *fault);

/* Puts the faults of the table at @table into the order of its entries, when all are added. */
void qcow2_faults_sort(Qcow2Faults *faults, uint64_t table);

/* Moves all faults of @from to @to. A table that both have keeps the order of its entries, those of @to first. */
void qcow2_faults_merge(Qcow2Faults *to, Qcow2Faults *from);

/* Keeps nothing but the numbers of all faults, and that a table cannot be read. */
void qcow2_faults_make_numbers(Qcow2Faults *faults);

/*
 * Replaces the faults of the table at @table by those in @by, which is empty then, but for those that were removed by
 * qcow2_faults_forget(). Returns how many there are.
 */
size_t qcow2_faults_replace(Qcow2Faults *faults, uint64_t table, Qcow2Faults *by);

/* Removes the faults of the table at @table whose kinds are in @kinds, a set of QCOW2_FINDING_BIT(). */
void qcow2_faults_forget(Qcow2Faults *faults, uint64_t table, uint64_t kinds);

/* Returns true if some of @f are only numbers. */
static inline bool qcow2_faults_incomplete(const Qcow2TableFaults *f)
{
    return f->more || f->more_copied;
}

/* NULL where nothing is wrong. */
const Qcow2TableFaults *qcow2_faults_of(const Qcow2Faults *faults, uint64_t table);

#endif
