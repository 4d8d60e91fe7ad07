/*
 * The snapshot table: only its number of entries in the header is set right where that is all that is wrong. Else there
 * is a new table, with all that an entry must have today, and without what cannot be kept.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/passes.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "block/qcow2/format/format.h"
#include "block/qcow2/inspect/evidence-forms.h"
#include "util/number.h"
#include "util/zeros.h"

#define SECTOR     512u
#define FULL_EXTRA 24 /* bytes of extra data: VM state size, disk size, instruction count */

#define DISK_OFFSET(member) offsetof(Qcow2DiskSnapshot, member)

static bool snapshots_wrong(const RepairInput *in)
{
    uint64_t unwanted = in->options->only ? QCOW2_SNAPSHOT_TABLE_FAULTS & ~in->options->only : 0;

    /* a new table would not have what is wrong with the old one */
    return in->check->snapshots.complete && repair_found_any(in, QCOW2_SNAPSHOT_TABLE_FAULTS) &&
           !repair_found_any(in, unwanted);
}

/* Returns true if no byte of an entry that is kept changes: they are what they should be, and follow one another. */
static bool entries_stay(const RepairInput *in)
{
    const GArray *snapshots = in->check->snapshots.items;
    uint64_t at = in->header->snapshots_offset;

    for (guint i = 0; i < snapshots->len; i++) {
        const Qcow2Snapshot *s = &g_array_index(snapshots, Qcow2Snapshot, i);

        if (s->entry_offset != DIV_ROUND_UP(at, QCOW2_SNAPSHOT_ALIGNMENT) * QCOW2_SNAPSHOT_ALIGNMENT ||
            s->extra_kept != s->extra_data_size) {
            return false;
        }
        at = s->strings + s->id_size + s->name_size;
    }
    return !repair_found(in, QCOW2_FINDING_SNAPSHOT_INCOMPLETE);
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
static void add_switch(Edits *edits, uint32_t n, uint64_t offset, const char *what, const Edit *like)
{
    Qcow2DiskHeader new = {.nb_snapshots = GUINT32_TO_BE(n), .snapshots_offset = GUINT64_TO_BE(offset)};
    Edit edit = *like;

    edit.offset = offsetof(Qcow2DiskHeader, nb_snapshots);
    edit.size = offsetof(Qcow2DiskHeader, incompatible_features) - edit.offset;
    edit.structure = IMAGE_CHECK_STRUCTURE_HEADER;
    edit.count = 1;
    edit.what = what;
    edit.bytes = g_memdup2((const uint8_t *)&new + edit.offset, edit.size);
    edits_add(edits, EDIT_PHASE_SWITCH, &edit);
}

bool snapshots_place_table(const RepairInput *in, Allocator *alloc, Edits *edits, GByteArray *table, uint32_t n,
                           const Edit *like, GError **errp)
{
    Edit edit = *like;

    if (table->len) {
        fill_last_cluster(in, table);
        if (!allocator_reserve(alloc, table->len >> in->header->cluster_bits, 1, &edit.offset, errp)) {
            return false;
        }
        if (!edit.offset) {
            repair_say(in, "No place for a new snapshot table\n");
            return true;
        }
        edit.size = table->len;
        edit.structure = IMAGE_CHECK_STRUCTURE_SNAPSHOT_TABLE;
        edit.what = "a new table";
        edit.bytes = g_memdup2(table->data, table->len);
        edits_add(edits, EDIT_PHASE_FREE_SPACE, &edit);
        allocator_add_counts(alloc, edits, edit.why);
    }
    add_switch(edits, n, edit.offset, "refer to the new tables", like);
    return true;
}

/* What the bytes of a sector look like that is no snapshot table: a phrase. */
static const char *describe(const RepairInput *in, const uint8_t *sector)
{
    size_t printable = 0;

    for (size_t i = 0; i < SECTOR; i++) {
        printable += sector[i] == '\n' || sector[i] == '\t' || (sector[i] >= ' ' && sector[i] < 0x7f);
    }
    if (is_zeros(sector, SECTOR)) {
        return "zeros";
    }
    if (qcow2_may_be_l2(sector, SECTOR, in->header, in->check->counting.file_end)) {
        return "what looks like an L2 table";
    }
    return printable == SECTOR ? "text" : "other data";
}

/* Reports what lies in the place of the snapshot table, if that is none; @left: and stays there. */
static void report_no_table(const RepairInput *in, bool left)
{
    uint64_t offset = in->header->snapshots_offset, l1;
    uint8_t sector[SECTOR];

    if (!in->header->nb_snapshots || !offset || offset % in->header->cluster_size ||
        offset >= in->image->source->length || block_source_read(in->image->source, sector, SECTOR, offset)) {
        return;
    }
    l1 = load_be64(sector + DISK_OFFSET(l1_table_offset));
    if (!l1 || l1 % in->header->cluster_size || l1 >= in->check->counting.file_end) {
        repair_say(in, "There is no snapshot table at 0x%" PRIx64 ", but %s. %s is kept as lost data\n", offset,
                   describe(in, sector),
                   left ? "'qemu-img check --drop snapshots' gives the snapshots up; what they had"
                        : "What the snapshots had");
    }
}

static bool leave(const RepairInput *in, const char *why)
{
    repair_say(in, "The snapshot table %s, and is left as it is\n", why);
    report_no_table(in, true);
    return true;
}

bool snapshots_append_others(const RepairInput *in, GByteArray *table, guint without, GError **errp)
{
    const GArray *snapshots = in->check->snapshots.items;

    for (guint i = 0; i < snapshots->len; i++) {
        if (i != without && !append_entry(in, &g_array_index(snapshots, Qcow2Snapshot, i), table, errp)) {
            return false;
        }
    }
    return true;
}

/* Returns true if the clusters from @cluster on hold a copy of @table. */
static bool holds_table(const RepairInput *in, const GByteArray *table, uint64_t cluster)
{
    g_autofree uint8_t *bytes = g_malloc(table->len);

    return !block_source_read(in->image->source, bytes, table->len, cluster << in->header->cluster_bits) &&
           memcmp(bytes, table->data, table->len) == 0;
}

/* Returns true if all that is kept as leaked is the new table of repairs that ended before the header got it. */
static bool only_new_table_leaked(const RepairInput *in, const TargetCounts *t)
{
    g_autoptr(GByteArray) table = g_byte_array_new();
    uint64_t n, at = 0, found = 0;
    RefMapRun run;

    if (!snapshots_append_others(in, table, G_MAXUINT, NULL) || !table->len) {
        return false;
    }
    fill_last_cluster(in, table);
    n = table->len >> in->header->cluster_bits;
    while (t->kept && found < t->leaks_kept && refmap_next_run(t->kept, at, refmap_clusters(t->kept), &run)) {
        if (target_counts_computed(t, run.first) || !holds_table(in, table, run.first)) {
            return false;
        }
        at = run.first + n;
        found += n;
    }
    return found > 0 && found == in->check->report.leaks;
}

bool repair_snapshots(const RepairInput *in, const MetadataLayout *layout, Allocator *alloc, Edits *edits,
                      GError **errp)
{
    Edit like = {.why = repair_why(in, edits, QCOW2_SNAPSHOT_TABLE_FAULTS)};
    guint n = in->check->snapshots.items->len;
    g_autoptr(GByteArray) table = NULL;
    bool stay;

    if (!in->options->all) {
        return true;
    }
    if (!snapshots_wrong(in)) {
        if (repair_found_any(in, QCOW2_SNAPSHOT_TABLE_FAULTS)) {
            report_no_table(in, true);
        }
        return true;
    }
    if (!in->check->snapshots.there && in->check->report.leaks && !in->options->free_lost &&
        !only_new_table_leaked(in, alloc->targets)) {
        return leave(in, "is cut off, or not where the header says");
    }
    stay = entries_stay(in);
    if (!stay && alloc->targets->snapshot_unlisted) { /* which its clusters keep, if it stays */
        return leave(in, "has traces of a snapshot that is lost");
    }
    if (!allocator_header_writable(alloc)) {
        return true;
    }
    if (!n) {
        report_no_table(in, false);
    }
    if (stay) {
        add_switch(edits, n, in->header->snapshots_offset, "count the snapshots that there are", &like);
        return true;
    }
    table = g_byte_array_new();
    return snapshots_append_others(in, table, G_MAXUINT, errp) &&
           snapshots_place_table(in, alloc, edits, table, n, &like, errp);
}
