/*
 * A new snapshot table, with all that an entry must have today, and without what cannot be kept.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/repair.h"

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

ImageCheckFindingKind qcow2_repair_why_rewritten(const Qcow2Repair *r)
{
    return qcow2_repair_first_seen(r, kinds, G_N_ELEMENTS(kinds));
}

static bool snapshots_wrong(const Qcow2Repair *r)
{
    bool wrong = false;

    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (r->check.report.count_by_kind[kinds[i]] && !qcow2_repair_wants(r, kinds[i])) {
            return false; /* a new table would not have what is wrong with the old one */
        }
        wrong |= r->check.report.count_by_kind[kinds[i]] != 0;
    }
    return wrong && r->check.snapshots.complete;
}

/* Appends @size bytes of the image at @offset. */
static bool append_bytes(const Qcow2Repair *r, GByteArray *table, uint64_t offset, size_t size, GError **errp)
{
    guint at = table->len;
    int failure;

    g_byte_array_set_size(table, at + size);
    failure = block_source_read(r->image->source, table->data + at, size, offset);
    if (failure) {
        g_set_error(errp, BLOCK_ERROR, -failure, "Could not read the snapshot table: %s", g_strerror(-failure));
    }
    return !failure;
}

/* What is missing of the extra data has the meaning that it has by not being there. */
static void complete_extra(const Qcow2Repair *r, const Qcow2Snapshot *s, uint8_t *fixed, uint8_t *extra)
{
    if (s->extra_kept < 8) {
        store_be64(extra, load_be32(fixed + DISK_OFFSET(vm_state_size)));
    }
    if (s->extra_kept < 16) {
        store_be64(extra + 8, r->header->size);
    }
    if (s->extra_kept < FULL_EXTRA) {
        store_be64(extra + 16, UINT64_MAX);
    }
}

static bool append_entry(const Qcow2Repair *r, const Qcow2Snapshot *s, GByteArray *table, GError **errp)
{
    static const uint8_t zeros[FULL_EXTRA] = {0};
    guint start = (table->len + QCOW2_SNAPSHOT_ALIGNMENT - 1) / QCOW2_SNAPSHOT_ALIGNMENT * QCOW2_SNAPSHOT_ALIGNMENT;
    guint extra = MAX(s->extra_kept, FULL_EXTRA);

    g_byte_array_append(table, zeros, start - table->len);
    if (!append_bytes(r, table, s->entry_offset, sizeof(Qcow2DiskSnapshot), errp) ||
        !append_bytes(r, table, s->entry_offset + sizeof(Qcow2DiskSnapshot), s->extra_kept, errp)) {
        return false;
    }
    g_byte_array_append(table, zeros, extra - s->extra_kept);
    store_be32(table->data + start + DISK_OFFSET(extra_data_size), extra);
    complete_extra(r, s, table->data + start, table->data + start + sizeof(Qcow2DiskSnapshot));
    return append_bytes(r, table, s->strings, (size_t)s->id_size + s->name_size, errp);
}

/* What was in its clusters before must not look like more entries. */
static void fill_last_cluster(const Qcow2Repair *r, GByteArray *table)
{
    guint size = DIV_ROUND_UP(table->len, r->header->cluster_size) * r->header->cluster_size, used = table->len;

    g_byte_array_set_size(table, size);
    memset(table->data + used, 0, size - used);
}

/* Finds a place for the table, and takes the old one's away. */
static bool place_table(Qcow2Repair *r, GByteArray *table, GError **errp)
{
    Edit edit = {
        .size = table->len,
        .structure = IMAGE_CHECK_STRUCTURE_SNAPSHOT_TABLE,
        .why = QCOW2_FINDING_SNAPSHOT_INCOMPLETE,
        .what = "a new table",
    };

    if (table->len && !qcow2_repair_allocate(r, table->len >> r->header->cluster_bits, 1, &edit.offset, errp)) {
        return false;
    }
    if (table->len && !edit.offset) {
        if (r->messages) {
            fputs("No place for a new snapshot table\n", r->messages);
        }
        return true; /* the old one stays as it is */
    }
    r->new_snapshots = edit.offset;
    r->switch_snapshots = true;
    if (table->len) {
        edit.bytes = g_memdup2(table->data, table->len);
        edits_add(r->edits, EDIT_PHASE_FREE_SPACE, &edit);
    }
    return !r->check.snapshots.table_length ||
           qcow2_repair_drop(r, r->header->snapshots_offset, r->check.snapshots.table_length, 1, errp);
}

static bool leave(const Qcow2Repair *r, const char *why)
{
    if (r->messages) {
        fprintf(r->messages, "The snapshot table %s, and is left as it is\n", why);
    }
    return true;
}

bool qcow2_repair_rewrite_snapshots(Qcow2Repair *r, GError **errp)
{
    const GArray *snapshots = r->check.snapshots.items;
    g_autoptr(GByteArray) table = g_byte_array_new();

    if (!snapshots_wrong(r)) {
        return true;
    }
    if (!r->check.snapshots.there && r->check.report.leaks && !r->options->free_lost) {
        return leave(r, "is cut off, or not where the header says");
    }
    if (r->snapshot_hidden) {
        return leave(r, "has traces of a snapshot that is lost");
    }
    for (guint i = 0; i < snapshots->len; i++) {
        if (!append_entry(r, &g_array_index(snapshots, Qcow2Snapshot, i), table, errp)) {
            return false;
        }
    }
    if (table->len) {
        fill_last_cluster(r, table);
    }
    return place_table(r, table, errp);
}
