/*
 * A new snapshot table, with all that an entry must have today, and without what cannot be kept.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/passes.h"

#include <errno.h>
#include <string.h>

#include "block/qcow2/format/format.h"
#include "util/number.h"

#define FULL_EXTRA 24 /* bytes of extra data: VM state size, disk size, instruction count */

#define DISK_OFFSET(member) offsetof(Qcow2DiskSnapshot, member)

/* Faults for which there is a new table. */
static const ImageCheckFindingKind kinds[] = {
    QCOW2_FINDING_SNAPSHOTS_TOO_MANY,
    QCOW2_FINDING_SNAPSHOT_EXTRA_TOO_LARGE,
    QCOW2_FINDING_SNAPSHOT_TABLE_TOO_BIG,
    QCOW2_FINDING_SNAPSHOT_INCOMPLETE,
};

static bool snapshots_wrong(const RepairInput *in)
{
    bool wrong = false;

    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (repair_found(in, kinds[i]) && !repair_wants(in, kinds[i])) {
            return false; /* a new table would not have what is wrong with the old one */
        }
        wrong |= repair_found(in, kinds[i]) != 0;
    }
    return wrong && in->check->snapshots.complete;
}

/* Appends @size bytes of the image at @offset. */
static bool append_bytes(const RepairInput *in, GByteArray *table, uint64_t offset, size_t size, GError **errp)
{
    guint at = table->len;
    int failure;

    g_byte_array_set_size(table, at + (guint)size);
    failure = block_source_read(in->image->source, table->data + at, size, offset);
    if (failure) {
        g_set_error(errp, BLOCK_ERROR, -failure, "Could not read the snapshot table: %s", g_strerror(-failure));
    }
    return !failure;
}

/* What is missing of the extra data has the meaning that it has by not being there. */
static void complete_extra(const RepairInput *in, const Qcow2Snapshot *s, uint8_t *fixed, uint8_t *extra)
{
    if (s->extra_kept < 8) {
        store_be64(extra, load_be32(fixed + DISK_OFFSET(vm_state_size)));
    }
    if (s->extra_kept < 16) {
        store_be64(extra + 8, in->header->size);
    }
    if (s->extra_kept < FULL_EXTRA) {
        store_be64(extra + 16, UINT64_MAX);
    }
}

static bool append_entry(const RepairInput *in, const Qcow2Snapshot *s, GByteArray *table, GError **errp)
{
    static const uint8_t zeros[FULL_EXTRA] = {0};
    guint start = (table->len + QCOW2_SNAPSHOT_ALIGNMENT - 1) / QCOW2_SNAPSHOT_ALIGNMENT * QCOW2_SNAPSHOT_ALIGNMENT;
    guint extra = MAX(s->extra_kept, FULL_EXTRA);

    g_byte_array_append(table, zeros, start - table->len);
    if (!append_bytes(in, table, s->entry_offset, sizeof(Qcow2DiskSnapshot), errp) ||
        !append_bytes(in, table, s->entry_offset + sizeof(Qcow2DiskSnapshot), s->extra_kept, errp)) {
        return false;
    }
    g_byte_array_append(table, zeros, extra - s->extra_kept);
    store_be32(table->data + start + DISK_OFFSET(extra_data_size), extra);
    complete_extra(in, s, table->data + start, table->data + start + sizeof(Qcow2DiskSnapshot));
    return append_bytes(in, table, s->strings, (size_t)s->id_size + s->name_size, errp);
}

/* What was in its clusters before must not look like more entries. */
static void fill_last_cluster(const RepairInput *in, GByteArray *table)
{
    guint cluster_size = (guint)in->header->cluster_size, used = table->len;
    guint size = DIV_ROUND_UP(used, cluster_size) * cluster_size;

    g_byte_array_set_size(table, size);
    memset(table->data + used, 0, size - used);
}

/* The header refers to @n entries at @offset; number and offset are neighbours, and change in one write. */
static void add_switch(const RepairInput *in, Edits *edits, uint32_t n, uint64_t offset)
{
    Qcow2DiskHeader new = {.nb_snapshots = GUINT32_TO_BE(n), .snapshots_offset = GUINT64_TO_BE(offset)};
    Edit edit = {
        .offset = offsetof(Qcow2DiskHeader, nb_snapshots),
        .size = offsetof(Qcow2DiskHeader, incompatible_features) - offsetof(Qcow2DiskHeader, nb_snapshots),
        .structure = IMAGE_CHECK_STRUCTURE_HEADER,
        .why = repair_first_reported(in, kinds, G_N_ELEMENTS(kinds)),
        .count = 1,
        .what = "refer to the new tables",
    };

    edit.bytes = g_memdup2((const uint8_t *)&new + edit.offset, edit.size);
    edits_add(edits, EDIT_PHASE_SWITCH, &edit);
}

/* Finds a place for the table; without one, the old one stays as it is. */
static bool place_table(const RepairInput *in, Allocator *alloc, Edits *edits, GByteArray *table, GError **errp)
{
    Edit edit = {
        .size = table->len,
        .structure = IMAGE_CHECK_STRUCTURE_SNAPSHOT_TABLE,
        .why = QCOW2_FINDING_SNAPSHOT_INCOMPLETE,
        .what = "a new table",
    };

    if (table->len && !allocator_reserve(alloc, table->len >> in->header->cluster_bits, 1, &edit.offset, errp)) {
        return false;
    }
    if (table->len && !edit.offset) {
        repair_say(in, "No place for a new snapshot table\n");
        return true;
    }
    if (table->len) {
        edit.bytes = g_memdup2(table->data, table->len);
        edits_add(edits, EDIT_PHASE_FREE_SPACE, &edit);
        allocator_add_counts(alloc, edits, edit.why);
    }
    add_switch(in, edits, in->check->snapshots.items->len, edit.offset);
    return true;
}

static bool leave(const RepairInput *in, const char *why)
{
    repair_say(in, "The snapshot table %s, and is left as it is\n", why);
    return true;
}

bool repair_snapshots(const RepairInput *in, const MetadataLayout *layout, Allocator *alloc, Edits *edits,
                      GError **errp)
{
    const GArray *snapshots = in->check->snapshots.items;
    g_autoptr(GByteArray) table = g_byte_array_new();

    if (!in->options->all || !snapshots_wrong(in)) {
        return true;
    }
    if (!in->check->snapshots.there && in->check->report.leaks && !in->options->free_lost) {
        return leave(in, "is cut off, or not where the header says");
    }
    if (alloc->targets->snapshot_unlisted) {
        return leave(in, "has traces of a snapshot that is lost");
    }
    if (!allocator_header_writable(alloc)) {
        return true;
    }
    for (guint i = 0; i < snapshots->len; i++) {
        if (!append_entry(in, &g_array_index(snapshots, Qcow2Snapshot, i), table, errp)) {
            return false;
        }
    }
    if (table->len) {
        fill_last_cluster(in, table);
    }
    return place_table(in, alloc, edits, table, errp);
}
