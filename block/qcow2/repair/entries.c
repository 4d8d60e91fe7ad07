/*
 * Unaligned L2 entries without data become plain zero.
 *
 * An edit is about a table: which of its entries are meant is found out again when it is made, as there may be many.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/passes.h"

#include "block/qcow2/format/format.h"
#include "util/number.h"

/* Returns true if there are unaligned entries without data among @f, or were before they were reported. */
static bool has_entries(const Qcow2TableFaults *f)
{
    bool any = f->forgotten & QCOW2_FINDING_BIT(QCOW2_FINDING_PREALLOCATED_UNALIGNED);

    for (guint i = 0; !any && i < f->faults->len; i++) {
        any = g_array_index(f->faults, Qcow2L2Fault, i).kind == QCOW2_FINDING_PREALLOCATED_UNALIGNED;
    }
    for (guint i = 0; !any && f->more && i < f->more->len; i++) {
        any = g_array_index(f->more, Qcow2MoreFaults, i).kind == QCOW2_FINDING_PREALLOCATED_UNALIGNED;
    }
    return any;
}

/* The next of the tables that have such entries, from index *i on; NULL where there is none. */
static const Qcow2TableRef *next_table(const MetadataLayout *layout, size_t *i)
{
    size_t n;
    const Qcow2TableRef *tables = qcow2_walk_tables(layout->check->walk, &n);

    for (; *i < n; ++*i) {
        const Qcow2TableFaults *f = qcow2_walk_faults(layout->check->walk, tables[*i].offset, false);

        if (f && has_entries(f)) {
            return &tables[*i];
        }
    }
    return NULL;
}

bool entries_all_writable(const MetadataLayout *layout)
{
    const Qcow2TableRef *table;

    for (size_t i = 0; (table = next_table(layout, &i)); i++) {
        if (!layout_table_writable(layout, table->offset, table->weight)) {
            return false;
        }
    }
    return true;
}

static bool change_table(const Edit *edit, uint8_t *bytes)
{
    const Qcow2HeaderFields *h = edit->opaque;
    size_t size = qcow2_l2_entry_size(h);
    g_autoptr(Qcow2L2Result) contents = qcow2_l2_result_new(h);

    if (!contents) {
        return false;
    }
    qcow2_l2_decode(h, bytes, contents);
    for (guint i = 0; i < contents->faults->len; i++) {
        const Qcow2L2Fault *fault = &g_array_index(contents->faults, Qcow2L2Fault, i);

        if (fault->kind == QCOW2_FINDING_PREALLOCATED_UNALIGNED) {
            store_be64(bytes + fault->index * size, qcow2_has_extended_l2(h) ? 0 : QCOW2_OFLAG_ZERO);
        }
    }
    return true;
}

bool repair_entries(const RepairInput *in, const MetadataLayout *layout, Allocator *alloc, Edits *edits, GError **errp)
{
    const Qcow2TableRef *table;

    if (!in->options->all || !repair_wants(in, QCOW2_FINDING_PREALLOCATED_UNALIGNED) ||
        !repair_found(in, QCOW2_FINDING_PREALLOCATED_UNALIGNED)) {
        return true;
    }
    for (size_t i = 0; (table = next_table(layout, &i)); i++) {
        Edit edit = {
            .offset = table->offset,
            .size = in->header->cluster_size,
            .structure = IMAGE_CHECK_STRUCTURE_L2,
            .why = QCOW2_FINDING_PREALLOCATED_UNALIGNED,
            .what = "refer to nothing, and read as zeros as before",
            .change = change_table,
            .opaque = (void *)in->header,
        };

        if (layout_table_writable(layout, table->offset, table->weight) &&
            !layout_read_by_guest(layout, table->offset >> in->header->cluster_bits)) {
            edits_add(edits, EDIT_PHASE_SWITCH, &edit);
        }
    }
    return true;
}
