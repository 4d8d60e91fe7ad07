/*
 * Puts lost L1 tables back: into the header where the disk has no table, else as a snapshot.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/restore.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "block/qcow2/format/format.h"
#include "block/qcow2/repair/passes.h"
#include "util/number.h"

#define FULL_EXTRA 24 /* bytes of extra data: VM state size, disk size, instruction count */

bool restore_disk_is_empty(const Restore *r)
{
    size_t n;
    const Qcow2TableRef *tables = qcow2_walk_tables(r->in->check->walk, &n);

    for (size_t i = 0; i < n; i++) {
        if (tables[i].active && !restore_is_missing(r->in, tables[i].offset)) {
            return false;
        }
    }
    return true;
}

/* ---- the L1 table of the disk ---- */

static void switch_header(Restore *r, const Qcow2Evidence *e)
{
    Edit edit = restore_edit(r, e, QCOW2_FINDING_LEAKED_L1);

    edit.offset = offsetof(Qcow2DiskHeader, l1_table_offset);
    edit.structure = IMAGE_CHECK_STRUCTURE_HEADER;
    edit.count = 1;
    edit.what = "refer to the lost L1 table";
    edits_add_word(r->edits, EDIT_PHASE_SWITCH, &edit, e->offset);
    restore_accept(r, e, "L1 table", "that of the disk");
}

/* *done where the header refers to one of the lost tables now. */
static bool restore_to_header(Restore *r, const Qcow2Evidence *e, bool *done)
{
    Refusal refusal;

    if (!allocator_header_writable(r->alloc)) {
        return true;
    }
    if (!new_references_add_l1(&r->references, e->offset, r->in->header->l1_size, &refusal, r->errp)) {
        return false;
    }
    if (refusal.why) {
        restore_say_refused(r, "L1 table", e->offset, &refusal);
        return true;
    }
    switch_header(r, e);
    *done = true;
    return true;
}

/* ---- snapshots ---- */

/* The entries that a snapshot's L1 table has to have: those of the disk, and what follows, as its VM state. */
static uint64_t count_entries(const Restore *r, const Qcow2Evidence *e)
{
    uint64_t most = MIN(e->size / 8, QCOW2_MAX_L1_ENTRIES), needed = MIN(most, r->in->header->l1_size), n = 0;
    uint8_t bytes[4096];

    for (uint64_t i = 0; i < most; i += sizeof(bytes) / 8) {
        size_t size = (size_t)MIN(sizeof(bytes), (most - i) * 8);

        if (block_source_read(r->in->image->source, bytes, size, e->offset + i * 8)) {
            return 0;
        }
        for (size_t at = 0; at < size; at += 8) {
            n = load_be64(bytes + at) ? i + at / 8 + 1 : n;
        }
    }
    return MAX(n, needed);
}

static bool is_used(const GArray *snapshots, const char *text, bool id)
{
    for (guint i = 0; i < snapshots->len; i++) {
        const Qcow2Snapshot *s = &g_array_index(snapshots, Qcow2Snapshot, i);

        if (g_strcmp0(id ? s->id : s->name, text) == 0) {
            return true;
        }
    }
    return false;
}

/* The first number from *@number on that no snapshot has as its ID, or in its name, behind @prefix. */
static char *unused_text(const GArray *snapshots, const char *prefix, unsigned *number)
{
    char *text = g_strdup_printf("%s%u", prefix, *number);

    while (is_used(snapshots, text, !*prefix)) {
        g_free(text);
        text = g_strdup_printf("%s%u", prefix, ++*number);
    }
    ++*number;
    return text;
}

/* The snapshot table as it is to be. */
typedef struct NewTable {
    GByteArray *bytes;
    uint32_t n;       /* entries */
    unsigned next_id; /* numbers that may be unused */
    unsigned next_name;
    Edit like;
} NewTable;

static void append_snapshot(const Restore *r, NewTable *t, const Qcow2Evidence *e, uint64_t entries, const char *id,
                            const char *name)
{
    uint64_t reach = entries << (r->in->header->l2_bits + r->in->header->cluster_bits);
    Qcow2DiskSnapshot d = {
        .l1_table_offset = GUINT64_TO_BE(e->offset),
        .l1_size = GUINT32_TO_BE((uint32_t)entries),
        .id_size = GUINT16_TO_BE((uint16_t)strlen(id)),
        .name_size = GUINT16_TO_BE((uint16_t)strlen(name)),
        .extra_data_size = GUINT32_TO_BE(FULL_EXTRA),
    };
    uint8_t extra[FULL_EXTRA] = {0};
    guint start = (guint)DIV_ROUND_UP(t->bytes->len, QCOW2_SNAPSHOT_ALIGNMENT) * QCOW2_SNAPSHOT_ALIGNMENT;
    const uint8_t padding[QCOW2_SNAPSHOT_ALIGNMENT] = {0};

    g_byte_array_append(t->bytes, padding, start - t->bytes->len);
    store_be64(extra + 8, MIN(reach, r->in->header->size));
    store_be64(extra + 16, UINT64_MAX);
    g_byte_array_append(t->bytes, (const uint8_t *)&d, sizeof(d));
    g_byte_array_append(t->bytes, extra, sizeof(extra));
    g_byte_array_append(t->bytes, (const uint8_t *)id, (guint)strlen(id));
    g_byte_array_append(t->bytes, (const uint8_t *)name, (guint)strlen(name));
    t->n++;
}

static bool restore_to_snapshot(Restore *r, NewTable *t, const Qcow2Evidence *e)
{
    const GArray *snapshots = r->in->check->snapshots.items;
    uint64_t entries = count_entries(r, e);
    Refusal refusal = {"there was an error of reading at", e->offset};
    g_autofree char *id = NULL;
    g_autofree char *name = NULL;
    g_autofree char *place = NULL;

    if (entries && !new_references_add_l1(&r->references, e->offset, entries, &refusal, r->errp)) {
        return false;
    }
    if (refusal.why || t->n >= QCOW2_MAX_SNAPSHOTS) {
        restore_say_refused(r, "L1 table", e->offset, &refusal);
        return true;
    }
    id = unused_text(snapshots, "", &t->next_id);
    name = unused_text(snapshots, "recovered-", &t->next_name);
    t->like = t->n == snapshots->len ? restore_edit(r, e, QCOW2_FINDING_LEAKED_L1) : t->like;
    t->like.evidence = MAX(t->like.evidence, restore_class(r, e));
    append_snapshot(r, t, e, entries, id, name);
    place = g_strdup_printf("snapshot %s", name);
    restore_accept(r, e, "L1 table", place);
    return true;
}

/* A snapshot table that has faults is made anew first, by the pass for that. */
static bool can_add_snapshots(const Restore *r)
{
    const Qcow2Snapshots *s = &r->in->check->snapshots;

    bool none = !r->in->header->nb_snapshots;

    return (none || (s->complete && s->there)) && !r->alloc->targets->snapshot_unlisted &&
           r->in->header->nb_snapshots == s->items->len && allocator_header_writable(r->alloc);
}

static bool restore_snapshots(Restore *r, const Qcow2Evidence *in_header)
{
    const GArray *items = r->alloc->targets->lost.items, *snapshots = r->in->check->snapshots.items;
    NewTable t = {.n = snapshots->len, .next_id = 1, .next_name = 1};
    bool ok = true;

    t.bytes = g_byte_array_new();
    if (!can_add_snapshots(r) || !snapshots_append_others(r->in, t.bytes, G_MAXUINT, NULL)) {
        g_byte_array_unref(t.bytes);
        return true;
    }
    for (guint i = 0; ok && i < items->len; i++) {
        const Qcow2Evidence *e = &g_array_index(items, Qcow2Evidence, i);

        if (e->kind == QCOW2_EVIDENCE_L1 && e != in_header && restore_wanted(r, e, QCOW2_FINDING_LEAKED_L1)) {
            ok = restore_to_snapshot(r, &t, e);
        }
    }
    if (ok && t.n > snapshots->len) {
        ok = snapshots_place_table(r->in, r->alloc, r->edits, t.bytes, t.n, &t.like, r->errp);
    }
    g_byte_array_unref(t.bytes);
    return ok;
}

/* ---- all of them ---- */

/* The table that is likeliest that of the disk: the one with most in it. NULL: none is to be put back as that. */
static const Qcow2Evidence *choose_for_header(const Restore *r)
{
    const GArray *items = r->alloc->targets->lost.items;
    const Qcow2Evidence *best = NULL;

    for (guint i = 0; restore_disk_is_empty(r) && i < items->len; i++) {
        const Qcow2Evidence *e = &g_array_index(items, Qcow2Evidence, i);

        if (e->kind == QCOW2_EVIDENCE_L1 && !e->of_snapshot && restore_wanted(r, e, QCOW2_FINDING_LEAKED_L1) &&
            (!best || e->named > best->named)) {
            best = e;
        }
    }
    return best;
}

bool restore_l1_tables(Restore *r)
{
    const Qcow2Evidence *best = choose_for_header(r);
    bool done = false;

    if (best && !restore_to_header(r, best, &done)) {
        return false;
    }
    /* number and place of the snapshots are in the header, too: they wait for the next stage */
    return done || restore_snapshots(r, best);
}
