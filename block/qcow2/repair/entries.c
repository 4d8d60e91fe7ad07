/*
 * Unaligned L2 entries without data become plain zero.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/passes.h"

#include "block/qcow2/check/collect.h"
#include "block/qcow2/format/format.h"
#include "util/number.h"

typedef struct UnalignedEntry {
    uint64_t offset; /* of the entry in the file */
    uint64_t bitmap; /* its second word, with extended L2 entries */
} UnalignedEntry;

/* Collects those of tables where nothing else is, nor is read by a guest. */
static bool visit_table(void *state, const Qcow2TableRef *table, const uint8_t *bytes, const Qcow2L2Result *contents)
{
    Qcow2CollectPart *s = state;
    const MetadataLayout *layout = s->opaque;
    size_t size = qcow2_l2_entry_size(layout->header);
    bool writable = layout_table_writable(layout, table->offset, table->weight) &&
                    !layout_read_by_guest(layout, table->offset >> layout->header->cluster_bits);

    for (guint i = 0; writable && i < contents->faults->len; i++) {
        const Qcow2L2Fault *fault = &g_array_index(contents->faults, Qcow2L2Fault, i);
        UnalignedEntry e = {
            .offset = table->offset + fault->index * size,
            .bitmap = size > 8 ? load_be64(bytes + fault->index * size + 8) : 0,
        };

        if (fault->kind == QCOW2_FINDING_PREALLOCATED_UNALIGNED) {
            g_array_append_val(s->items, e);
        }
    }
    return true;
}

static int compare_entries(const void *a, const void *b)
{
    const UnalignedEntry *x = a, *y = b;

    return (x->offset > y->offset) - (x->offset < y->offset);
}

/* Returns true if there are unaligned entries without data among @f. */
static bool has_entries(const Qcow2TableFaults *f)
{
    bool any = false;

    for (guint i = 0; !any && i < f->faults->len; i++) {
        any = g_array_index(f->faults, Qcow2L2Fault, i).kind == QCOW2_FINDING_PREALLOCATED_UNALIGNED;
    }
    for (guint i = 0; !any && f->more && i < f->more->len; i++) {
        any = g_array_index(f->more, Qcow2MoreFaults, i).kind == QCOW2_FINDING_PREALLOCATED_UNALIGNED;
    }
    return any;
}

bool entries_all_writable(const MetadataLayout *layout)
{
    size_t n;
    const Qcow2TableRef *tables = qcow2_walk_tables(layout->check->walk, &n);

    for (size_t i = 0; i < n; i++) {
        const Qcow2TableFaults *f = qcow2_walk_faults(layout->check->walk, tables[i].offset, false);

        if (f && has_entries(f) && !layout_table_writable(layout, tables[i].offset, tables[i].weight)) {
            return false;
        }
    }
    return true;
}

static void add_edit(const RepairInput *in, Edits *edits, const UnalignedEntry *e)
{
    size_t size = qcow2_l2_entry_size(in->header);
    Edit edit = {
        .offset = e->offset,
        .size = size,
        .structure = IMAGE_CHECK_STRUCTURE_L2,
        .why = QCOW2_FINDING_PREALLOCATED_UNALIGNED,
        .count = 1,
        .what = "refer to nothing, and read as zeros as before",
        .bytes = g_malloc0(size),
    };

    if (size > 8) {
        store_be64(edit.bytes + 8, e->bitmap & ~(uint64_t)UINT32_MAX);
    } else {
        store_be64(edit.bytes, QCOW2_OFLAG_ZERO);
    }
    edits_add(edits, EDIT_PHASE_SWITCH, &edit);
}

bool repair_entries(const RepairInput *in, const MetadataLayout *layout, Allocator *alloc, Edits *edits, GError **errp)
{
    g_autoptr(GArray) entries = g_array_new(FALSE, FALSE, sizeof(UnalignedEntry));

    if (!in->options->all || !repair_wants(in, QCOW2_FINDING_PREALLOCATED_UNALIGNED) ||
        !repair_found(in, QCOW2_FINDING_PREALLOCATED_UNALIGNED)) {
        return true;
    }
    if (!qcow2_walk_collect(layout->check->walk, visit_table, layout, entries, errp)) {
        return false;
    }
    g_array_sort(entries, compare_entries);
    for (guint i = 0; i < entries->len; i++) {
        add_edit(in, edits, &g_array_index(entries, UnalignedEntry, i));
    }
    return true;
}
