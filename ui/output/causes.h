/*
 * The entries of tables that cause the findings of a check.
 *
 * One bad word makes many findings: the cluster that it leads to has too low a count, the one that it led to leaks, and
 * a snapshot has the same again.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_OUTPUT_CAUSES_H
#define UI_OUTPUT_CAUSES_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "qapi/qapi-types.h"

/* Entries that follow one another. */
typedef struct CauseWords {
    uint64_t first; /* offset in the file */
    uint64_t n;
    uint64_t table; /* offset of the L2 table; of an L1 table the cluster that the word is in */
} CauseWords;

/* Damaged entries, and their share of ImageCheck.corruptions and .leaks. */
typedef struct Causes {
    GArray *words;                 /* CauseWords, sorted; empty: no entry is known to be damaged */
    GArray *guest;                 /* Qcow2Allocation: ranges of the disk as it is now, sorted and disjoint */
    GPtrArray *snapshots;          /* names, 100 at most: whose trees have such entries */
    GPtrArray *intact;             /* names, 100 at most: which refer to what these entries leave as leaked */
    unsigned leads_to;             /* structures that are not data, a bit for each ImageCheckStructure */
    ImageCheckStructure structure; /* of all these entries; NONE: of several */
    uint64_t n_words, n_tables;
    uint64_t errors, leaks;
} Causes;

/* Finds the causes of what @check lists as findings. The strings belong to @check. */
void causes_init(Causes *causes, const ImageCheck *check);
void causes_clear(Causes *causes);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Causes, causes_clear)

#endif
