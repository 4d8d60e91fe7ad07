/*
 * L2 tables that guest data lies on which cannot move itself: the tables get another place.
 *
 * An L1 entry is switched over to a copy by one write, and the table keeps its bytes, so that nothing changes for what
 * is read there. As soon as no L1 entry refers to it, its cluster is guest data and nothing else.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/passes.h"

#include <assert.h>

#include "block/qcow2/format/format.h"
#include "util/number.h"
#include "util/search.h"

/* An L2 table that gets another place. */
typedef struct MovedTable {
    uint64_t offset;
    uint64_t to; /* 0 = none */
    uint64_t weight;
    bool stays; /* as an L1 entry that refers to it cannot be overwritten */
} MovedTable;

/* Adds the table in cluster @cluster, if there is one and nothing else. */
static void collect_table(const MetadataLayout *layout, uint64_t cluster, GArray *tables)
{
    MovedTable table = {.offset = cluster << layout->header->cluster_bits,
                        .weight = layout_l2_tables_in(layout, cluster)};
    guint at = ARRAY_FIRST_NOT_BELOW(tables, MovedTable, offset, table.offset);
    bool known = at < tables->len && g_array_index(tables, MovedTable, at).offset == table.offset;

    if (!known && table.weight && layout_sole_table(layout, table.offset, table.weight)) {
        g_array_insert_val(tables, at, table);
    }
}

/*
 * The tables that entries lie on which are not ready. What is not counted would lie on nothing when the table is gone,
 * and what nothing is known to lie on is overwritten.
 */
static GArray *collect_tables(const MetadataLayout *layout)
{
    GArray *tables = g_array_new(FALSE, FALSE, sizeof(MovedTable));

    for (guint i = 0; i < layout->overlap.entries->len; i++) {
        const OverlappedEntry *e = &g_array_index(layout->overlap.entries, OverlappedEntry, i);
        bool waits = e->read && e->counted && !moves_entry_ready(layout, e);

        for (uint64_t c = overlap_first_cluster(layout, e); waits && c <= overlap_last_cluster(layout, e); c++) {
            collect_table(layout, c, tables);
        }
    }
    return tables;
}

/* ---- the L1 entries that refer to them ---- */

/* An L1 entry is overwritten where nothing but L1 tables is, and no guest reads. */
static bool slot_writable(const MetadataLayout *layout, uint64_t offset)
{
    uint64_t cluster = offset >> layout->header->cluster_bits, l1;

    return layout_in_use(layout, cluster) && !layout_read_by_guest(layout, cluster) &&
           !layout_in_unaligned_table(layout, cluster) && layout_only_tables_in(layout, cluster, 0, &l1);
}

/* Lets the L1 entry at @offset, which is @value, refer to the copy of @table. */
static void add_slot_edit(const RepairInput *in, Edits *edits, const MovedTable *table, uint64_t offset, uint64_t value,
                          bool active)
{
    Edit edit = {
        .offset = offset,
        .structure = IMAGE_CHECK_STRUCTURE_L1,
        .why = moves_why(in),
        .count = 1,
        .what = "refer to the copy",
    };
    uint64_t copied = active ? (table->weight == 1 ? QCOW2_OFLAG_COPIED : 0) : value & QCOW2_OFLAG_COPIED;

    edits_add_word(edits, EDIT_PHASE_SWITCH, &edit,
                   (value & ~(QCOW2_OFFSET_MASK | QCOW2_OFLAG_COPIED)) | table->to | copied);
}

/* Finds out which tables stay or, where @edits is not NULL, switches the entries of those over that have a copy. */
static void each_slot(const RepairInput *in, const MetadataLayout *layout, GArray *tables, Edits *edits)
{
    size_t n;
    const Qcow2TableSpan *spans = qcow2_tables_spans(in->check->regions.l1_tables, &n);

    for (size_t k = 0; k < n; k++) {
        for (uint64_t i = 0; spans[k].slots && i < spans[k].n; i++) {
            uint64_t offset = spans[k].offset + i * 8, value = spans[k].slots[i], refers = value & QCOW2_OFFSET_MASK;
            size_t at = ARRAY_FIRST_NOT_BELOW(tables, MovedTable, offset, refers);
            MovedTable *table = &g_array_index(tables, MovedTable, at);

            if (!value || at == tables->len || table->offset != refers) {
                continue;
            }
            if (!edits) {
                table->stays |= !slot_writable(layout, offset);
            } else if (table->to) {
                add_slot_edit(in, edits, table, offset, value, spans[k].active);
            }
        }
    }
}

/* ---- copies ---- */

/* Finds a place for a copy of @table. */
static bool copy_table(const RepairInput *in, Allocator *alloc, Edits *edits, MovedTable *table, GError **errp)
{
    Edit copy = {
        .size = in->header->cluster_size,
        .structure = IMAGE_CHECK_STRUCTURE_L2,
        .why = moves_why(in),
        .what = "a copy of a table that guest data lies on",
        .copies = true,
        .from = table->offset,
    };

    assert(table->weight > 0 && !table->to);
    if (!allocator_reserve(alloc, 1, table->weight, &table->to, errp)) {
        return false;
    }
    if (!table->to) {
        repair_say(in, "No place for a copy of the L2 table at 0x%" PRIx64 ", which guest data lies on\n",
                   table->offset);
        return true;
    }
    copy.offset = table->to;
    edits_add(edits, EDIT_PHASE_FREE_SPACE, &copy);
    repair_say(in,
               "Repairing L2 table at 0x%" PRIx64 ": guest data lies on it, and it gets a copy of its own at "
               "0x%" PRIx64 "\n",
               table->offset, table->to);
    return true;
}

bool moves_copy_tables(const RepairInput *in, const MetadataLayout *layout, Allocator *alloc, Edits *edits,
                       GError **errp)
{
    g_autoptr(GArray) tables = collect_tables(layout);

    if (!tables->len) {
        return true;
    }
    each_slot(in, layout, tables, NULL);
    for (guint i = 0; i < tables->len; i++) {
        MovedTable *table = &g_array_index(tables, MovedTable, i);

        if (!table->stays && !copy_table(in, alloc, edits, table, errp)) {
            return false;
        }
    }
    each_slot(in, layout, tables, edits);
    return true;
}
