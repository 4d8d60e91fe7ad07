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
    bool writable;   /* nothing but the table is there */
} UnalignedEntry;

static bool visit_table(void *state, const Qcow2TableRef *table, const uint8_t *bytes, const Qcow2L2Result *contents)
{
    Qcow2CollectPart *s = state;
    const MetadataLayout *layout = s->opaque;
    size_t size = qcow2_l2_entry_size(layout->header);

    for (guint i = 0; i < contents->faults->len; i++) {
        const Qcow2L2Fault *fault = &g_array_index(contents->faults, Qcow2L2Fault, i);
        UnalignedEntry e = {
            .offset = table->offset + fault->index * size,
            .bitmap = size > 8 ? load_be64(bytes + fault->index * size + 8) : 0,
        };

        if (fault->kind == QCOW2_FINDING_PREALLOCATED_UNALIGNED) {
            e.writable = layout_table_writable(layout, table->offset, table->weight);
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

/* NULL and @errp set when memory is short. */
static GArray *find_entries(const MetadataLayout *layout, GError **errp)
{
    g_autoptr(GArray) entries = g_array_new(FALSE, FALSE, sizeof(UnalignedEntry));

    if (!qcow2_walk_collect(layout->check->walk, visit_table, layout, entries, errp)) {
        return NULL;
    }
    g_array_sort(entries, compare_entries);
    return g_steal_pointer(&entries);
}

bool entries_all_writable(const MetadataLayout *layout, bool *all, GError **errp)
{
    g_autoptr(GArray) entries = NULL;

    *all = true;
    if (!qcow2_walk_any_fault(layout->check->walk)) {
        return true;
    }
    entries = find_entries(layout, errp);
    for (guint i = 0; entries && i < entries->len; i++) {
        *all &= g_array_index(entries, UnalignedEntry, i).writable;
    }
    return entries != NULL;
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
    g_autoptr(GArray) entries = NULL;

    if (!in->options->all || !repair_wants(in, QCOW2_FINDING_PREALLOCATED_UNALIGNED) ||
        !repair_found(in, QCOW2_FINDING_PREALLOCATED_UNALIGNED)) {
        return true;
    }
    entries = find_entries(layout, errp);
    for (guint i = 0; entries && i < entries->len; i++) {
        const UnalignedEntry *e = &g_array_index(entries, UnalignedEntry, i);

        if (e->writable && !layout_read_by_guest(layout, e->offset >> in->header->cluster_bits)) {
            add_edit(in, edits, e);
        }
    }
    return entries != NULL;
}
