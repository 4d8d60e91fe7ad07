/*
 * L2 tables that are in use, and to which no L1 table refers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/rescue/lost.h"

#include "block/qcow2/rescue/visit.h"
#include "util/number.h"

/* Which tables are mapped as data, and by which. */
typedef struct Claims {
    const Qcow2Found *found;
    const Qcow2Trees *trees;
    GHashTable *placed; /* offsets of the tables with a slot */
    GHashTable *claims; /* offset of a table: the Qcow2FoundTable that maps it as data */
} Claims;

static bool is_placed(const Claims *c, uint64_t offset)
{
    return g_hash_table_contains(c->placed, &offset) || qcow2_trees_snapshot_refs(c->trees, offset);
}

static void claim_entries(void *opaque, const Qcow2TableToRead *table, const uint8_t *bytes)
{
    Claims *c = opaque;
    const Qcow2HeaderFields *h = qcow2_found_header(c->found);
    const GArray *tables = c->found->geometry.tables;
    const Qcow2FoundTable *claimer = qcow2_table_at(tables, table->offset);

    for (uint32_t i = 0; bytes && claimer && i < 1u << h->l2_bits; i++) {
        uint64_t host = qcow2_entry_host(bytes, i, h) & ~(h->cluster_size - 1);
        const Qcow2FoundTable *t = host ? qcow2_table_at(tables, host) : NULL;

        if (t && (is_placed(c, claimer->offset) || !g_hash_table_contains(c->claims, &t->offset))) {
            g_hash_table_insert(c->claims, (gpointer)&t->offset, (gpointer)claimer);
        }
    }
}

static bool find_claims(Claims *c, GError **errp)
{
    const Qcow2RescueInput *in = c->found->in;
    g_autoptr(GArray) all = g_array_new(FALSE, FALSE, sizeof(Qcow2TableToRead));

    for (guint i = 0; i < c->found->geometry.tables->len; i++) {
        const Qcow2FoundTable *t = &g_array_index(c->found->geometry.tables, Qcow2FoundTable, i);
        Qcow2TableToRead table = {.offset = t->offset};

        if (t->is_l2 && qcow2_found_in_use(c->found, t->offset)) {
            g_array_append_val(all, table);
        }
    }
    return qcow2_visit_tables(in->source, &in->options, qcow2_found_header(c->found), all, claim_entries, c, errp);
}

static bool is_data(const Claims *c, const Qcow2FoundTable *t)
{
    const Qcow2FoundTable *claimer = g_hash_table_lookup(c->claims, &t->offset);

    return claimer && (is_placed(c, claimer->offset) || !g_hash_table_contains(c->claims, &claimer->offset));
}

static bool is_within(uint64_t offset, uint64_t table, uint64_t size)
{
    return table && offset >= table && offset - table < size;
}

/* A refcount table, or an L1 table whose L2 tables are zeros, looks like an L2 table. */
static bool is_another_table(const Claims *c, uint64_t offset)
{
    const Qcow2HeaderFields *h = qcow2_found_header(c->found);

    for (guint i = 0; i < c->found->snapshots->len; i++) {
        const Qcow2FoundSnapshot *s = &g_array_index(c->found->snapshots, Qcow2FoundSnapshot, i);

        if (is_within(offset, s->l1_offset, UINT64_C(8) * s->l1_size)) {
            return true;
        }
    }
    return is_within(offset, c->trees->l1_offset, UINT64_C(8) * c->trees->l1_size) ||
           is_within(offset, h->refcount_table_offset, h->refcount_table_clusters * h->cluster_size);
}

/* Without a COPIED flag it is a table whose clusters are all shared, or one of another kind, such as of a bitmap. */
static bool may_be_lost(const Claims *c, const Qcow2FoundTable *t)
{
    uint64_t shared = qcow2_found_count(c->found, t->first_host);

    return t->is_l2 && !is_placed(c, t->offset) && qcow2_found_in_use(c->found, t->offset) &&
           !is_another_table(c, t->offset) && (t->copied || (shared > 1 && shared < UINT64_MAX));
}

GPtrArray *qcow2_find_lost_tables(const Qcow2Found *found, const Qcow2Trees *trees, GError **errp)
{
    g_autoptr(GHashTable) placed = g_hash_table_new(hash_u64, g_int64_equal);
    g_autoptr(GHashTable) claims = g_hash_table_new(hash_u64, g_int64_equal);
    g_autoptr(GPtrArray) lost = g_ptr_array_new();
    Claims c = {.found = found, .trees = trees, .placed = placed, .claims = claims};
    guint kept = 0;

    for (guint i = 0; i < trees->slots->len; i++) {
        Qcow2Slot *slot = &g_array_index(trees->slots, Qcow2Slot, i);

        if (slot->table) {
            g_hash_table_add(placed, &slot->table);
        }
    }
    for (guint i = 0; i < found->geometry.tables->len; i++) {
        Qcow2FoundTable *t = &g_array_index(found->geometry.tables, Qcow2FoundTable, i);

        if (may_be_lost(&c, t)) {
            g_ptr_array_add(lost, t);
        }
    }
    if (lost->len && !find_claims(&c, errp)) {
        return NULL;
    }
    for (guint i = 0; i < lost->len; i++) {
        if (!is_data(&c, g_ptr_array_index(lost, i))) {
            g_ptr_array_index(lost, kept++) = g_ptr_array_index(lost, i);
        }
    }
    g_ptr_array_set_size(lost, (gint)kept);
    return g_steal_pointer(&lost);
}
