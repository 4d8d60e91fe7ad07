/*
 * L2 tables that guest data lies on which cannot move itself: the tables get another place.
 *
 * An L1 entry is switched over to a copy by one write, and the table keeps its bytes, so that nothing changes for what
 * is read there. As soon as no L1 entry refers to it, its cluster is guest data and nothing else.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdlib.h>

#include "block/qcow2/format/format.h"
#include "block/qcow2/repair/entries.h"
#include "util/number.h"
#include "util/search.h"

/* An L2 table that gets another place. */
typedef struct MovedTable {
    uint64_t offset;
    uint64_t to;
    uint64_t weight;
    bool stays; /* as it cannot be moved */
} MovedTable;

static int compare_moved_tables(const void *a, const void *b)
{
    const MovedTable *x = a, *y = b;

    return (x->offset > y->offset) - (x->offset < y->offset);
}

static MovedTable *find_moved_table(const Qcow2Repair *r, uint64_t offset)
{
    MovedTable wanted = {.offset = offset};

    return r->moved_tables->len
               ? bsearch(&wanted, r->moved_tables->data, r->moved_tables->len, sizeof(wanted), compare_moved_tables)
               : NULL;
}

bool qcow2_repair_table_moved(const Qcow2Repair *r, uint64_t offset)
{
    const MovedTable *table = r->moved_tables ? find_moved_table(r, offset) : NULL;

    return table && table->to;
}

/*
 * The tables that entries lie on which are not ready. What is not counted would lie on nothing when the table is gone,
 * and what nothing is known to lie on is overwritten.
 */
static void collect_tables(Qcow2Repair *r)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(hash_u64, g_int64_equal);
    size_t n;
    const Qcow2TableRef *tables = qcow2_walk_tables(r->check.walk, &n);

    for (guint i = 0; i < r->contested->len; i++) {
        const Qcow2EntryEdit *e = &g_array_index(r->contested, Qcow2EntryEdit, i);

        for (uint64_t c = qcow2_repair_first_cluster(r, e);
             e->read && e->counted && !e->ready && c <= qcow2_repair_last_cluster(r, e); c++) {
            uint64_t offset = c << r->header->cluster_bits;
            size_t k = FIRST_NOT_BELOW(tables, n, Qcow2TableRef, offset, offset);

            if (k < n && tables[k].offset == offset && qcow2_repair_sole_table(r, offset, tables[k].weight) &&
                g_hash_table_add(seen, (gpointer)&tables[k].offset)) {
                MovedTable table = {.offset = offset, .weight = tables[k].weight};

                g_array_append_val(r->moved_tables, table);
            }
        }
    }
    g_array_sort(r->moved_tables, compare_moved_tables);
}

typedef void SlotVisitor(Qcow2Repair *r, MovedTable *table, uint64_t slot, uint64_t value, bool active);

/* Shows @visit the L1 entries that refer to tables which get another place. */
static void each_slot(Qcow2Repair *r, SlotVisitor *visit)
{
    size_t n;
    const Qcow2TableSpan *spans = qcow2_tables_spans(r->check.regions.l1_tables, &n);

    for (size_t k = 0; k < n; k++) {
        for (uint64_t i = 0; spans[k].slots && i < spans[k].n; i++) {
            uint64_t value = spans[k].slots[i];
            MovedTable *table = value ? find_moved_table(r, value & QCOW2_OFFSET_MASK) : NULL;

            if (table && !table->stays) {
                visit(r, table, spans[k].offset + i * 8, value, spans[k].active);
            }
        }
    }
}

/* An L1 entry is overwritten where nothing but L1 tables is, and no guest reads. */
static void find_whether_writable(Qcow2Repair *r, MovedTable *table, uint64_t slot, uint64_t value, bool active)
{
    uint64_t cluster = slot >> r->header->cluster_bits;

    table->stays = qcow2_repair_read_by_guest(r, cluster) || qcow2_repair_in_odd_table(r, cluster) ||
                   refmap_get(r->metadata.refs, cluster) != qcow2_repair_l1_tables_in(r, cluster);
}

static void add_slot_edit(Qcow2Repair *r, MovedTable *table, uint64_t slot, uint64_t value, bool active)
{
    Edit edit = {
        .offset = slot,
        .structure = IMAGE_CHECK_STRUCTURE_L1,
        .why = qcow2_repair_why_moved(r),
        .count = 1,
        .what = "refer to the copy",
    };
    uint64_t copied = active ? (table->weight == 1 ? QCOW2_OFLAG_COPIED : 0) : value & QCOW2_OFLAG_COPIED;

    edits_add_word(r->edits, EDIT_PHASE_MOVE, &edit,
                   (value & ~(QCOW2_OFFSET_MASK | QCOW2_OFLAG_COPIED)) | table->to | copied);
}

/* Finds a place for a copy of @table. */
static bool copy_table(Qcow2Repair *r, MovedTable *table, GError **errp)
{
    Edit copy = {
        .size = r->header->cluster_size,
        .structure = IMAGE_CHECK_STRUCTURE_L2,
        .why = qcow2_repair_why_moved(r),
        .what = "a copy of a table that guest data lies on",
        .copies = true,
        .from = table->offset,
    };

    if (!qcow2_repair_allocate(r, 1, table->weight, &copy.offset, errp)) {
        return false;
    }
    table->to = copy.offset;
    table->stays = !table->to;
    if (table->stays) {
        if (r->messages) {
            fprintf(r->messages, "No place for a copy of the L2 table at 0x%" PRIx64 ", which guest data lies on\n",
                    table->offset);
        }
        return true;
    }
    r->moves = true;
    edits_add(r->edits, EDIT_PHASE_FREE_SPACE, &copy);
    if (r->messages) {
        fprintf(r->messages,
                "Repairing L2 table at 0x%" PRIx64 ": guest data lies on it, and it gets a copy of its own at "
                "0x%" PRIx64 "\n",
                table->offset, table->to);
    }
    return qcow2_repair_drop(r, table->offset, r->header->cluster_size, table->weight, errp);
}

bool qcow2_repair_move_tables(Qcow2Repair *r, GError **errp)
{
    r->moved_tables = g_array_new(FALSE, FALSE, sizeof(MovedTable));
    collect_tables(r);
    if (!r->moved_tables->len) {
        return true;
    }
    each_slot(r, find_whether_writable);
    for (guint i = 0; i < r->moved_tables->len; i++) {
        MovedTable *table = &g_array_index(r->moved_tables, MovedTable, i);

        if (!table->stays && !copy_table(r, table, errp)) {
            return false;
        }
    }
    each_slot(r, add_slot_edit);
    return true;
}
