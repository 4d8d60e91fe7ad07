/*
 * Restoring L2 tables from an earlier copy of the metadata.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/rescue/restore.h"

#include "block/qcow2/load/l2-result.h"
#include "block/qcow2/inspect/evidence-forms.h"
#include "block/qcow2/rescue/matches.h"
#include "block/qcow2/rescue/order.h"
#include "block/qcow2/rescue/visit.h"
#include "util/number.h"
#include "util/search.h"
#include "util/zeros.h"

#define MOST_ALIKE 64u /* entries that refer to one cluster: as many as tables of snapshots may share it */

/* A table to be restored. */
typedef struct Restored {
    uint64_t from; /* in the copy */
    uint64_t to;
    uint64_t slot;
    bool of_disk; /* else of a snapshot only */
} Restored;

/* An entry of one, and what it refers to. */
typedef struct Wanted {
    uint64_t host;
    uint32_t table; /* its number */
    uint32_t entry;
    uint64_t slot;
    unsigned others; /* references of tables of snapshots that are there */
    bool taken;
} Wanted;

typedef struct Restoring {
    const Qcow2Found *found;
    Qcow2Trees *trees;
    GArray *tables; /* Restored */
    GArray *wanted; /* Wanted, sorted by host */
    Edits *edits;
    GArray *dropped;
    GHashTable *bytes; /* number of a table: its bytes */
} Restoring;

static BlockSource *copy_of(const Restoring *r)
{
    return r->found->in->metadata;
}

/* ---- which tables ---- */

/* A table in the copy, and not @seen: it has nothing but metadata, at the offsets of the image. */
static bool has_table(const Restoring *r, GHashTable *seen, uint64_t offset)
{
    const Qcow2HeaderFields *h = qcow2_found_header(r->found);
    g_autofree uint8_t *bytes = NULL;

    if (!offset || offset >= copy_of(r)->length || !g_hash_table_add(seen, g_memdup2(&offset, sizeof(offset)))) {
        return false;
    }
    bytes = g_malloc(h->cluster_size);
    return !block_source_read(copy_of(r), bytes, h->cluster_size, offset) && !is_zeros(bytes, h->cluster_size) &&
           qcow2_may_be_l2(bytes, h->cluster_size, h, copy_of(r)->length);
}

static void add_table(Restoring *r, const Restored *table)
{
    g_array_append_vals(r->tables, table, 1);
}

static void list_tables_of_disk(Restoring *r, uint64_t *end)
{
    uint32_t n;
    g_autofree uint64_t *entries = qcow2_metadata_l1(r->found, &n);
    g_autoptr(GHashTable) seen = g_hash_table_new_full(hash_u64, g_int64_equal, g_free, NULL);

    for (uint32_t i = 0; entries && i < n; i++) {
        uint64_t from = entries[i] & QCOW2_OFFSET_MASK;
        Qcow2Slot *slot = i < r->trees->slots->len ? &g_array_index(r->trees->slots, Qcow2Slot, i) : NULL;
        bool gone = slot ? slot->blank || (!slot->table && !r->trees->l1_offset) : !r->trees->l1_offset;
        Restored table = {.from = from, .slot = i, .of_disk = true};

        if (!gone || !has_table(r, seen, from)) {
            continue;
        }
        slot = qcow2_trees_slot(r->trees, i);
        if (slot->blank) {
            table.to = slot->table;
        } else {
            table.to = *end;
            *end += qcow2_found_header(r->found)->cluster_size;
        }
        *slot = (Qcow2Slot){.table = table.to, .class = IMAGE_RESCUE_CLASS_INFERRED, .restored = true};
        add_table(r, &table);
    }
}

/* Tables of snapshots that are zeros now. */
static void list_tables_of_snapshots(Restoring *r)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(hash_u64, g_int64_equal, g_free, NULL);
    guint n = r->tables->len;

    for (guint s = 0; s < r->trees->snapshots->len; s++) {
        const Qcow2SnapshotL1 *l1 = &g_array_index(r->trees->snapshots, Qcow2SnapshotL1, s);

        for (uint32_t i = 0; i < l1->n; i++) {
            uint64_t offset = l1->entries[i] & QCOW2_OFFSET_MASK;
            Restored table = {.from = offset, .to = offset, .slot = i};

            if (offset && !qcow2_table_at(r->found->geometry.tables, offset) && has_table(r, seen, offset)) {
                add_table(r, &table);
            }
        }
    }
    if (r->tables->len > n) { /* one table of the disk and of snapshots is restored once */
        guint kept = 0;

        ARRAY_SORT(r->tables, Restored, to);
        for (guint i = 0; i < r->tables->len; i++) {
            Restored *table = &g_array_index(r->tables, Restored, i);
            Restored *last = kept ? &g_array_index(r->tables, Restored, kept - 1) : NULL;

            if (last && last->to == table->to) {
                *last = table->of_disk ? *table : *last;
            } else {
                g_array_index(r->tables, Restored, kept++) = *table;
            }
        }
        g_array_set_size(r->tables, kept);
    }
}

/* ---- which entries ---- */

static void keep_table(void *opaque, const Qcow2TableToRead *table, const uint8_t *bytes)
{
    Restoring *r = opaque;
    const Qcow2HeaderFields *h = qcow2_found_header(r->found);
    const Restored *restored = &g_array_index(r->tables, Restored, table->key);

    if (!bytes) {
        return;
    }
    g_hash_table_insert(r->bytes, GUINT_TO_POINTER((guint)table->key), g_memdup2(bytes, h->cluster_size));
    for (uint32_t i = 0; i < 1u << h->l2_bits; i++) {
        Wanted wanted = {qcow2_entry_host(bytes, i, h), (uint32_t)table->key, i, restored->slot, 0, false};

        if (wanted.host) {
            g_array_append_val(r->wanted, wanted);
        }
    }
}

static bool read_tables(Restoring *r, GError **errp)
{
    g_autoptr(GArray) tables = g_array_new(FALSE, FALSE, sizeof(Qcow2TableToRead));

    for (guint i = 0; i < r->tables->len; i++) {
        Qcow2TableToRead table = {g_array_index(r->tables, Restored, i).from, i};

        g_array_append_val(tables, table);
    }
    if (!qcow2_visit_tables(copy_of(r), &r->found->in->options, qcow2_found_header(r->found), tables, keep_table, r,
                            errp)) {
        return false;
    }
    ARRAY_SORT(r->wanted, Wanted, host);
    return true;
}

static void take_host(Restoring *r, uint64_t host, uint64_t slot, uint32_t entry)
{
    size_t first = ARRAY_FIRST_NOT_BELOW(r->wanted, Wanted, host, host);

    for (size_t i = first; i < MIN(first + MOST_ALIKE, r->wanted->len); i++) {
        Wanted *wanted = &g_array_index(r->wanted, Wanted, i);

        if (wanted->host != host) {
            break;
        }
        wanted->taken |= wanted->slot != slot || wanted->entry != entry;
        wanted->others++;
    }
}

static void take_entries(void *opaque, const Qcow2TableToRead *table, const uint8_t *bytes)
{
    Restoring *r = opaque;
    const Qcow2HeaderFields *h = qcow2_found_header(r->found);

    for (uint32_t i = 0; bytes && i < 1u << h->l2_bits; i++) {
        uint64_t host = qcow2_entry_host(bytes, i, h);

        if (host) {
            take_host(r, host, table->key, i);
        }
    }
}

/* What the tables that are there refer to is theirs, and so are the tables. */
static bool take_what_is_used(Restoring *r, GError **errp)
{
    const Qcow2RescueInput *in = r->found->in;
    const Qcow2HeaderFields *h = qcow2_found_header(r->found);
    g_autoptr(GArray) known = g_array_new(FALSE, FALSE, sizeof(Qcow2TableToRead));

    for (guint i = 0; i < r->trees->slots->len; i++) {
        const Qcow2Slot *slot = &g_array_index(r->trees->slots, Qcow2Slot, i);
        Qcow2TableToRead table = {slot->table, i};

        if (slot->table && !slot->restored) {
            g_array_append_val(known, table);
        }
    }
    for (guint s = 0; s < r->trees->snapshots->len; s++) {
        const Qcow2SnapshotL1 *l1 = &g_array_index(r->trees->snapshots, Qcow2SnapshotL1, s);

        qcow2_add_known_tables(known, l1->entries, l1->n);
        take_host(r, g_array_index(r->found->snapshots, Qcow2FoundSnapshot, s).l1_offset, UINT64_MAX, 0);
    }
    for (guint i = 0; i < known->len; i++) {
        take_host(r, g_array_index(known, Qcow2TableToRead, i).offset, UINT64_MAX, 0);
    }
    for (guint i = 0; i < r->tables->len; i++) {
        take_host(r, g_array_index(r->tables, Restored, i).to, UINT64_MAX, 0);
    }
    take_host(r, r->trees->l1_offset, UINT64_MAX, 0);
    take_host(r, h->refcount_table_offset, UINT64_MAX, 0);
    take_host(r, r->found->snapshots_offset, UINT64_MAX, 0);
    return qcow2_visit_tables(in->source, &in->options, h, known, take_entries, r, errp);
}

/* All clusters that the entry refers to are in use. */
static bool is_in_use(const Restoring *r, const uint8_t *bytes, const Wanted *wanted)
{
    const Qcow2HeaderFields *h = qcow2_found_header(r->found);
    uint64_t entry = load_be64(bytes + (uint64_t)wanted->entry * qcow2_l2_entry_size(h));
    uint64_t length = entry & QCOW2_OFLAG_COMPRESSED ? qcow2_l2_compressed_extent(h, entry, 0).length : h->cluster_size;

    for (uint64_t at = wanted->host; at < wanted->host + length; at += h->cluster_size) {
        if (!qcow2_found_in_use(r->found, at)) {
            return false;
        }
    }
    return wanted->host < r->found->in->source->length && qcow2_found_in_use(r->found, wanted->host + length - 1);
}

/* References that the restored table of @wanted stands for. */
static uint64_t references(const Restoring *r, const Wanted *wanted)
{
    const Restored *table = &g_array_index(r->tables, Restored, wanted->table);

    return table->of_disk + (uint64_t)qcow2_trees_snapshot_refs(r->trees, table->to);
}

/*
 * Drops what is wanted of one cluster, the elements from @first to @end, as far as it is not in use, or not so often:
 * what snapshots still have, the disk may have given up.
 */
static void drop_alike(Restoring *r, guint first, guint end)
{
    const Qcow2HeaderFields *h = qcow2_found_header(r->found);
    uint64_t host = g_array_index(r->wanted, Wanted, first).host;
    uint64_t count = qcow2_found_count(r->found, host), needed = g_array_index(r->wanted, Wanted, first).others;

    for (guint i = first; i < end; i++) {
        needed += references(r, &g_array_index(r->wanted, Wanted, i));
    }
    for (guint i = first; i < end; i++) {
        const Wanted *wanted = &g_array_index(r->wanted, Wanted, i);
        uint8_t *bytes = g_hash_table_lookup(r->bytes, GUINT_TO_POINTER(wanted->table));
        uint8_t *entry = bytes + (uint64_t)wanted->entry * qcow2_l2_entry_size(h);
        bool of_disk = g_array_index(r->tables, Restored, wanted->table).of_disk;
        bool given_up = of_disk && count < needed && !(load_be64(entry) & QCOW2_OFLAG_COMPRESSED);
        Qcow2DroppedEntry dropped = {wanted->slot, wanted->entry};

        if (wanted->taken || given_up || end - first > MOST_ALIKE || !is_in_use(r, bytes, wanted)) {
            memset(entry, 0, qcow2_l2_entry_size(h));
            if (of_disk) {
                g_array_append_val(r->dropped, dropped);
            }
        }
    }
}

static void drop_entries(Restoring *r)
{
    for (guint i = 0, end; i < r->wanted->len; i = end) {
        for (end = i + 1; end < r->wanted->len &&
                          g_array_index(r->wanted, Wanted, end).host == g_array_index(r->wanted, Wanted, i).host;
             end++) {
        }
        drop_alike(r, i, end);
    }
}

static void add_edits(Restoring *r)
{
    for (guint i = 0; i < r->tables->len; i++) {
        uint8_t *bytes = g_hash_table_lookup(r->bytes, GUINT_TO_POINTER(i));
        Edit edit = {.offset = g_array_index(r->tables, Restored, i).to,
                     .size = qcow2_found_header(r->found)->cluster_size,
                     .structure = IMAGE_CHECK_STRUCTURE_L2};

        if (bytes) {
            edit.bytes = g_memdup2(bytes, edit.size);
            edits_add(r->edits, EDIT_PHASE_FREE_SPACE, &edit);
        }
    }
}

bool qcow2_restore_tables(const Qcow2Found *found, Qcow2Trees *trees, Edits *edits, uint64_t *end, GArray *dropped,
                          GError **errp)
{
    Restoring r = {.found = found, .trees = trees, .edits = edits, .dropped = dropped};
    bool ok;

    if (!found->in->metadata) {
        return true;
    }
    r.tables = g_array_new(FALSE, FALSE, sizeof(Restored));
    r.wanted = g_array_new(FALSE, FALSE, sizeof(Wanted));
    r.bytes = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    list_tables_of_disk(&r, end);
    list_tables_of_snapshots(&r);
    ok = read_tables(&r, errp) && take_what_is_used(&r, errp);
    if (ok) {
        drop_entries(&r);
        add_edits(&r);
    }
    g_hash_table_unref(r.bytes);
    g_array_unref(r.wanted);
    g_array_unref(r.tables);
    return ok;
}
