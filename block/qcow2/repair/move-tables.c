/*
 * L2 tables that guest data lies on which cannot move itself: the tables get another place.
 *
 * An L1 entry is switched over to a copy by one write, and the table keeps its bytes, so that nothing changes for what
 * is read there. As soon as no L1 entry refers to it, its cluster is guest data and nothing else.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/passes.h"

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

/* An L1 entry. */
typedef struct Slot {
    uint64_t offset; /* in the file */
    uint64_t value;
    bool active;
} Slot;

typedef struct TableMover {
    const RepairInput *in;
    const MetadataLayout *layout;
    Edits *edits;
    GArray *tables; /* MovedTable, sorted by offset */
} TableMover;

typedef void SlotVisitor(TableMover *m, MovedTable *table, const Slot *slot);

static void each_slot(TableMover *m, SlotVisitor *visit)
{
    size_t n;
    const Qcow2TableSpan *spans = qcow2_tables_spans(m->in->check->regions.l1_tables, &n);

    for (size_t k = 0; k < n; k++) {
        for (uint64_t i = 0; spans[k].slots && i < spans[k].n; i++) {
            Slot slot = {spans[k].offset + i * 8, spans[k].slots[i], spans[k].active};
            uint64_t offset = slot.value & QCOW2_OFFSET_MASK;
            size_t at = ARRAY_FIRST_NOT_BELOW(m->tables, MovedTable, offset, offset);

            if (slot.value && at < m->tables->len && g_array_index(m->tables, MovedTable, at).offset == offset) {
                visit(m, &g_array_index(m->tables, MovedTable, at), &slot);
            }
        }
    }
}

/* An L1 entry is overwritten where nothing but L1 tables is, and no guest reads. */
static void find_whether_writable(TableMover *m, MovedTable *table, const Slot *slot)
{
    uint64_t cluster = slot->offset >> m->in->header->cluster_bits;

    table->stays |= layout_read_by_guest(m->layout, cluster) || layout_in_unaligned_table(m->layout, cluster) ||
                    refmap_get(m->layout->metadata.refs, cluster) != layout_l1_tables_in(m->layout, cluster);
}

static void add_slot_edit(TableMover *m, MovedTable *table, const Slot *slot)
{
    Edit edit = {
        .offset = slot->offset,
        .structure = IMAGE_CHECK_STRUCTURE_L1,
        .why = moves_why(m->in),
        .count = 1,
        .what = "refer to the copy",
    };
    uint64_t copied = slot->active ? (table->weight == 1 ? QCOW2_OFLAG_COPIED : 0) : slot->value & QCOW2_OFLAG_COPIED;

    if (table->to) {
        edits_add_word(m->edits, EDIT_PHASE_SWITCH, &edit,
                       (slot->value & ~(QCOW2_OFFSET_MASK | QCOW2_OFLAG_COPIED)) | table->to | copied);
    }
}

/* ---- copies ---- */

/* Finds a place for a copy of @table. */
static bool copy_table(TableMover *m, Allocator *alloc, MovedTable *table, GError **errp)
{
    Edit copy = {
        .size = m->in->header->cluster_size,
        .structure = IMAGE_CHECK_STRUCTURE_L2,
        .why = moves_why(m->in),
        .what = "a copy of a table that guest data lies on",
        .copies = true,
        .from = table->offset,
    };

    if (!allocator_reserve(alloc, 1, table->weight, &table->to, errp)) {
        return false;
    }
    if (!table->to) {
        repair_say(m->in, "No place for a copy of the L2 table at 0x%" PRIx64 ", which guest data lies on\n",
                   table->offset);
        return true;
    }
    copy.offset = table->to;
    edits_add(m->edits, EDIT_PHASE_FREE_SPACE, &copy);
    repair_say(m->in,
               "Repairing L2 table at 0x%" PRIx64 ": guest data lies on it, and it gets a copy of its own at "
               "0x%" PRIx64 "\n",
               table->offset, table->to);
    return true;
}

bool moves_copy_tables(const RepairInput *in, const MetadataLayout *layout, Allocator *alloc, Edits *edits,
                       GError **errp)
{
    g_autoptr(GArray) tables = collect_tables(layout);
    TableMover m = {.in = in, .layout = layout, .edits = edits, .tables = tables};

    if (!tables->len) {
        return true;
    }
    each_slot(&m, find_whether_writable);
    for (guint i = 0; i < tables->len; i++) {
        MovedTable *table = &g_array_index(tables, MovedTable, i);

        if (!table->stays && !copy_table(&m, alloc, table, errp)) {
            return false;
        }
    }
    each_slot(&m, add_slot_edit);
    return true;
}
