/*
 * Which trees lack a table at an index of their L1 tables: the disk's, and those of snapshots.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_INSPECT_EVIDENCE_TREES_H
#define BLOCK_QCOW2_INSPECT_EVIDENCE_TREES_H

#include "block/qcow2/check/check.h"

/* Returns true if @word of an L1 table leads to no table: it is 0, or cannot be. */
bool qcow2_l1_word_missing(const Qcow2Check *check, uint64_t word);

/* Returns true if entry @index of the L1 table of @tree, which reaches that far, is such a word. */
bool qcow2_tree_misses(const Qcow2Check *check, const Qcow2Tree *tree, uint64_t index);

/* Sets *index to where the table in use at @offset lies in its L1 table, one of several. False: in none. */
bool qcow2_find_l1_index(const Qcow2Check *check, uint64_t offset, uint64_t *index);

/* A tree whose entry @index is 0: the disk's, or else that of a snapshot; NULL: none. */
const Qcow2Tree *qcow2_tree_without(const Qcow2Check *check, uint64_t index);

/* How many trees miss a table at @index; UINT_MAX if there are too many to look at. */
unsigned qcow2_trees_missing(const Qcow2Check *check, uint64_t index);

#endif
