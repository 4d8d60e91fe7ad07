/*
 * Trees that lack a table.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/evidence-trees.h"

#include <limits.h>

#include "block/qcow2/format/format.h"
#include "util/search.h"

#define MAX_SNAPSHOTS 256 /* that are looked at */

bool qcow2_l1_word_missing(const Qcow2Check *c, uint64_t word)
{
    uint64_t offset = word & QCOW2_OFFSET_MASK;

    return !offset || offset % c->image->header.cluster_size || offset >= c->counting.file_end;
}

/* Entry @index of the L1 table of @tree, which reaches that far; 0 where the file ends before. */
static uint64_t l1_entry(const Qcow2Check *c, const Qcow2Tree *tree, uint64_t index)
{
    uint64_t first = index;
    const uint64_t *slots;

    if (!qcow2_tables_part(c->regions.l1_tables, tree->offset, tree->entries, &first, &slots)) {
        return 0;
    }
    return first == index ? slots[0] : 0;
}

bool qcow2_tree_misses(const Qcow2Check *c, const Qcow2Tree *tree, uint64_t index)
{
    return index < tree->entries && qcow2_l1_word_missing(c, l1_entry(c, tree, index));
}

bool qcow2_find_l1_index(const Qcow2Check *c, uint64_t offset, uint64_t *index)
{
    size_t n;
    const Qcow2TableRef *tables = qcow2_walk_tables(c->walk, &n);
    size_t i = FIRST_NOT_BELOW(tables, n, Qcow2TableRef, offset, offset);

    return i < n && tables[i].offset == offset && qcow2_regions_find_tree(&c->regions, tables[i].slot, index);
}

static bool lacks_entry(const Qcow2Check *c, const Qcow2Tree *tree, uint64_t index)
{
    return index < tree->entries && !l1_entry(c, tree, index);
}

const Qcow2Tree *qcow2_tree_without(const Qcow2Check *c, uint64_t index)
{
    const Qcow2Regions *regions = &c->regions;

    if (regions->active && lacks_entry(c, regions->active, index)) {
        return regions->active;
    }
    for (guint k = 0; k < regions->trees->len && k < MAX_SNAPSHOTS; k++) {
        const Qcow2Tree *tree = &g_array_index(regions->trees, Qcow2Tree, k);

        if (lacks_entry(c, tree, index)) {
            return tree;
        }
    }
    return NULL;
}

unsigned qcow2_trees_missing(const Qcow2Check *c, uint64_t index)
{
    const GArray *trees = c->regions.trees;
    unsigned n = 0;

    if (trees->len > MAX_SNAPSHOTS) {
        return UINT_MAX;
    }
    for (guint k = 0; k < trees->len; k++) {
        n += qcow2_tree_misses(c, &g_array_index(trees, Qcow2Tree, k), index);
    }
    return n;
}
