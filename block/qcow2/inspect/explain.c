/*
 * Who is concerned by a finding.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/explain.h"

#include "block/limits.h"
#include "block/qcow2/format/format.h"
#include "block/qcow2/inspect/bitmaps.h"
#include "block/qcow2/inspect/users.h"
#include "util/number.h"
#include "util/search.h"

#define MAX_AT_CLUSTER (LIMIT_OTHER_USERS + 1)

typedef struct Explainer {
    Qcow2Check *check;
    const Qcow2HeaderFields *header;
    Qcow2FindingRecords *records;
    GArray *users; /* Qcow2User, sorted by offset */
    GArray *ends;  /* uint64_t: the greatest end of the users up to this one */
    uint64_t examined;
    uint64_t named;
} Explainer;

/* How the users of the clusters of a record are told. */
typedef enum Telling {
    TELL_NOTHING,
    TELL_PARTS,  /* the record is divided by users, the first of which is its own place */
    TELL_OTHERS, /* the record has a place, and others use its clusters too */
} Telling;

static bool has_references(const Qcow2Check *c, const Qcow2Location *p, uint64_t more_than)
{
    uint64_t end = (p->cluster_offset + p->cluster_size - 1) >> c->image->header.cluster_bits;

    for (uint64_t i = p->cluster_offset >> c->image->header.cluster_bits; i <= end; i++) {
        if (i >= refmap_clusters(c->counting.refs)) {
            return false;
        }
        if (refmap_get(c->counting.refs, i) > more_than) {
            return true;
        }
    }
    return false;
}

static Telling telling(const Qcow2Check *c, const Qcow2FindingRecord *r)
{
    switch (r->kind) {
    case QCOW2_FINDING_REFCOUNT_TOO_LOW:
    case QCOW2_FINDING_LEAK:
        return r->location.reference ? TELL_PARTS : TELL_NOTHING;
    case QCOW2_FINDING_REFCOUNT_OVERFLOW:
    case QCOW2_FINDING_REFCOUNT_BLOCK_SHARED:
    case QCOW2_FINDING_METADATA_SHARED:
    case QCOW2_FINDING_DATA_SHARED:
    case QCOW2_FINDING_BITMAP_DATA_SHARED:
        return TELL_OTHERS;
    case QCOW2_FINDING_L1_COPIED_WRONG:
    case QCOW2_FINDING_L2_COPIED_WRONG:
        return r->location.cluster_size && has_references(c, &r->location, 1) ? TELL_OTHERS : TELL_NOTHING;
    default:
        return TELL_NOTHING;
    }
}

/* ---- what is asked for ---- */

/* The clusters whose users are wanted: Qcow2ClusterRange. */
static GArray *wanted_ranges(const Explainer *e)
{
    GArray *ranges = g_array_new(FALSE, FALSE, sizeof(Qcow2ClusterRange));

    for (guint i = 0; i < e->records->n; i++) {
        Qcow2FindingRecord r = qcow2_finding_records_at(e->records, i);
        uint64_t first = r.location.cluster_offset >> e->header->cluster_bits;

        if (telling(e->check, &r) != TELL_NOTHING) {
            uint64_t last = (r.location.cluster_offset + r.location.cluster_size - 1) >> e->header->cluster_bits;
            Qcow2ClusterRange range = {.first = first, .n = last - first + 1};

            g_array_append_val(ranges, range);
        }
    }
    qcow2_cluster_ranges_sort(ranges);
    return ranges;
}

/* ---- an entry that is in several trees ---- */

/* An L1 entry that refers to a table with users in it that weigh more than one tree. */
typedef struct SharedTable {
    uint64_t table;
    uint64_t slot; /* of the L1 entry in the file */
} SharedTable;

static bool is_data(const Qcow2User *u)
{
    return u->structure == IMAGE_CHECK_STRUCTURE_DATA || u->structure == IMAGE_CHECK_STRUCTURE_COMPRESSED_DATA;
}

/* The L2 table that has the entry of @u. One that is not aligned is not found again, and @u then stands for all. */
static uint64_t table_of(const Explainer *e, const Qcow2User *u)
{
    return u->entry_offset & ~(e->header->cluster_size - 1);
}

static int compare_shared(const void *a, const void *b)
{
    const SharedTable *x = a, *y = b;

    if (x->table != y->table) {
        return x->table > y->table ? 1 : -1;
    }
    return (x->slot > y->slot) - (x->slot < y->slot);
}

/* All L1 entries that refer to the tables of shared users: SharedTable, sorted. */
static GArray *find_shared_tables(const Explainer *e)
{
    g_autoptr(GHashTable) tables = g_hash_table_new_full(hash_u64, g_int64_equal, g_free, NULL);
    GArray *shared = g_array_new(FALSE, FALSE, sizeof(SharedTable));
    size_t n_spans;
    const Qcow2TableSpan *spans = qcow2_tables_spans(e->check->regions.l1_tables, &n_spans);

    for (guint i = 0; i < e->users->len; i++) {
        const Qcow2User *u = &g_array_index(e->users, Qcow2User, i);

        if (is_data(u) && u->weight > 1) {
            uint64_t table = table_of(e, u);

            g_hash_table_add(tables, g_memdup2(&table, sizeof(table)));
        }
    }
    for (size_t k = 0; g_hash_table_size(tables) && k < n_spans; k++) {
        for (uint64_t i = 0; spans[k].slots && i < spans[k].n; i++) {
            SharedTable entry = {spans[k].slots[i] & QCOW2_OFFSET_MASK, spans[k].offset + i * 8};

            if (spans[k].slots[i] && g_hash_table_contains(tables, &entry.table)) {
                g_array_append_val(shared, entry);
            }
        }
    }
    g_array_sort(shared, compare_shared);
    return shared;
}

static guint find_shared(const GArray *shared, uint64_t table)
{
    return ARRAY_FIRST_NOT_BELOW(shared, SharedTable, table, table);
}

/* Appends @u once for each L1 entry through which it is reached, as far as there is room. */
static void append_each(const Explainer *e, const Qcow2User *u, const GArray *shared, GArray *all)
{
    uint64_t table = table_of(e, u);
    uint64_t index = (u->entry_offset - table) / qcow2_l2_entry_size(e->header);

    for (guint i = find_shared(shared, table); i < shared->len && all->len < 2 * LIMIT_USERS; i++) {
        const SharedTable *entry = &g_array_index(shared, SharedTable, i);
        Qcow2User each = *u;

        if (entry->table != table) {
            break;
        }
        qcow2_set_l2_guest(e->check, entry->slot, &each);
        each.guest_offset += index << e->header->cluster_bits;
        each.guest_size = u->guest_size;
        each.weight = 1;
        g_array_append_val(all, each);
    }
}

/* Replaces users that stand for several trees by one for each. */
static void tell_trees_apart(Explainer *e)
{
    g_autoptr(GArray) shared = find_shared_tables(e);
    GArray *all;

    if (!shared->len) {
        return;
    }
    all = g_array_sized_new(FALSE, FALSE, sizeof(Qcow2User), e->users->len);
    for (guint i = 0; i < e->users->len; i++) {
        const Qcow2User *u = &g_array_index(e->users, Qcow2User, i);
        guint before = all->len;

        if (is_data(u) && u->weight > 1) {
            append_each(e, u, shared, all);
        }
        if (all->len == before) {
            g_array_append_vals(all, u, 1);
        }
    }
    g_array_unref(e->users);
    e->users = all;
}

/* ---- users of a range ---- */

static void note_ends(Explainer *e)
{
    uint64_t end = 0;

    for (guint i = 0; i < e->users->len; i++) {
        const Qcow2User *u = &g_array_index(e->users, Qcow2User, i);

        end = MAX(end, u->offset + u->size);
        g_array_append_val(e->ends, end);
    }
}

static uint64_t first_cluster(const Explainer *e, const Qcow2User *u)
{
    return u->offset >> e->header->cluster_bits;
}

static uint64_t end_cluster(const Explainer *e, const Qcow2User *u)
{
    return ((u->offset + u->size - 1) >> e->header->cluster_bits) + 1;
}

/* The index of the first user that may reach into clusters from @first on; users are looked at from there. */
static guint find_first_user(const Explainer *e, uint64_t first)
{
    uint64_t end = (first << e->header->cluster_bits) + 1;

    return (guint)first_not_below(e->ends->data, e->users->len, sizeof(uint64_t), 0, end);
}

/* Metadata before data, the active tree before snapshots: in this order users of the same clusters are named. */
static int compare_rank(gconstpointer a, gconstpointer b)
{
    const Qcow2User *x = a, *y = b;

    if (is_data(x) != is_data(y)) {
        return is_data(x) - is_data(y);
    }
    if (x->snapshot != y->snapshot) {
        return x->snapshot - y->snapshot;
    }
    return (x->entry_offset > y->entry_offset) - (x->entry_offset < y->entry_offset);
}

static const char *snapshot_name(const Explainer *e, const Qcow2User *u)
{
    return u->snapshot == QCOW2_TREE_ACTIVE ? NULL
                                            : g_array_index(e->check->snapshots.items, Qcow2Snapshot, u->snapshot).name;
}

/* @u as a place; of plain data the part that lies in clusters [first, end). */
static Qcow2Location user_location(Explainer *e, const Qcow2User *u, uint64_t first, uint64_t end)
{
    uint64_t offset = u->offset, size = u->size, guest = u->guest_offset, guest_size = u->guest_size;
    Qcow2Location location = qcow2_location(u->structure, u->entry_offset, 0, 0);

    location.has_entry = u->structure != IMAGE_CHECK_STRUCTURE_HEADER;
    if (u->structure == IMAGE_CHECK_STRUCTURE_DATA && offset % e->header->cluster_size == 0) {
        uint64_t skipped = MAX(first, first_cluster(e, u)) - first_cluster(e, u);
        uint64_t n = MIN(end, end_cluster(e, u)) - first_cluster(e, u) - skipped;

        location.entry_offset += skipped * qcow2_l2_entry_size(e->header);
        offset += skipped << e->header->cluster_bits;
        guest += skipped << e->header->cluster_bits;
        size = guest_size = n << e->header->cluster_bits;
    }
    location.cluster_offset = offset;
    location.cluster_size = size;
    location.snapshot = snapshot_name(e, u);
    location.bitmap = qcow2_bitmap_name(e->check, u, &e->examined);
    if (u->has_guest) {
        qcow2_location_set_guest(&location, e->header, guest, guest_size);
    }
    return location;
}

/* No other record gets users before those of @r are complete. */
static void name_other(Explainer *e, Qcow2FindingRecord *r, const Qcow2Location *location)
{
    r->shared = true;
    if (r->n_users < LIMIT_OTHER_USERS && e->named < LIMIT_ALL_OTHER_USERS) {
        r->first_user = r->n_users ? r->first_user : e->records->users->len;
        g_array_append_vals(e->records->users, location, 1);
        r->n_users++;
        e->named++;
    }
}

/* ---- a record divided by users ---- */

/* Going through the clusters of a record, with the users of the one that it has come to. */
typedef struct Sweep {
    guint next;     /* user */
    uint64_t at;    /* cluster */
    uint64_t end;   /* of the record */
    GArray *active; /* Qcow2User */
} Sweep;

static void drop_users(const Explainer *e, Sweep *s)
{
    for (guint i = s->active->len; i-- > 0;) {
        if (end_cluster(e, &g_array_index(s->active, Qcow2User, i)) <= s->at) {
            g_array_remove_index(s->active, i);
        }
    }
}

static void take_users(Explainer *e, Sweep *s)
{
    for (; s->next < e->users->len && e->examined < LIMIT_USERS_EXAMINED; s->next++, e->examined++) {
        const Qcow2User *u = &g_array_index(e->users, Qcow2User, s->next);

        if (first_cluster(e, u) > s->at) {
            return;
        }
        if (end_cluster(e, u) > s->at && s->active->len < MAX_AT_CLUSTER) {
            g_array_append_vals(s->active, u, 1);
        }
    }
}

/* The cluster up to which the users are the same. */
static uint64_t same_users_end(const Explainer *e, const Sweep *s)
{
    uint64_t end = s->end;

    for (guint i = 0; i < s->active->len; i++) {
        end = MIN(end, end_cluster(e, &g_array_index(s->active, Qcow2User, i)));
    }
    if (s->next < e->users->len && e->examined < LIMIT_USERS_EXAMINED) {
        end = MIN(end, first_cluster(e, &g_array_index(e->users, Qcow2User, s->next)));
    }
    return MAX(end, s->at + 1);
}

/* The part of @r from the cluster of @s up to @end, with its users and without a message. */
static Qcow2FindingRecord make_part(Explainer *e, const Qcow2FindingRecord *r, const Sweep *s, uint64_t end)
{
    const Qcow2Location *whole = &r->location;
    uint64_t size = (end - s->at) << e->header->cluster_bits;
    Qcow2FindingRecord part = {.kind = r->kind, .count = end - s->at};

    part.location = qcow2_location_range(whole->structure, s->at << e->header->cluster_bits, size);
    g_array_sort(s->active, compare_rank);
    for (guint i = 0; i < s->active->len; i++) {
        Qcow2Location user = user_location(e, &g_array_index(s->active, Qcow2User, i), s->at, end);

        if (i > 0) {
            name_other(e, &part, &user);
            continue;
        }
        user.cluster_offset = part.location.cluster_offset;
        user.cluster_size = size;
        part.location = user;
    }
    part.location.has_refcount = part.location.has_reference = true;
    part.location.refcount = whole->refcount;
    part.location.reference = whole->reference;
    part.last_entry = part.location.entry_offset;
    return part;
}

/* Makes @part, whose bits are the next ones of the same bitmap, a part of the last record of @to. */
static bool join_bitmap_data(Qcow2FindingRecords *to, const Qcow2FindingRecord *part)
{
    Qcow2FindingRecord last = to->n ? qcow2_finding_records_at(to, to->n - 1) : (Qcow2FindingRecord){0};
    const Qcow2Location *a = &last.location, *b = &part->location;

    if (last.kind != part->kind || a->structure != IMAGE_CHECK_STRUCTURE_BITMAP_DATA || a->structure != b->structure ||
        !a->bitmap || a->bitmap != b->bitmap || b->entry_offset != last.last_entry + 8 ||
        a->cluster_offset + a->cluster_size != b->cluster_offset || a->refcount != b->refcount ||
        a->reference != b->reference || last.shared || part->shared) {
        return false;
    }
    last.count += part->count;
    last.location.cluster_size += b->cluster_size;
    last.last_entry = part->last_entry;
    qcow2_finding_records_set(to, to->n - 1, &last);
    return true;
}

/* Appends the parts of @r to @to, and no more of them than there may be records. */
static void divide(Explainer *e, const Qcow2FindingRecord *r, Qcow2FindingRecords *to)
{
    g_autoptr(GArray) active = g_array_new(FALSE, FALSE, sizeof(Qcow2User));
    Sweep s = {.at = r->location.cluster_offset >> e->header->cluster_bits, .active = active};

    s.end = s.at + (r->location.cluster_size >> e->header->cluster_bits);
    s.next = find_first_user(e, s.at);
    while (s.at < s.end) {
        bool last = to->n >= LIMIT_FINDINGS;
        Qcow2Finding message = {r->kind, {s.at, r->location.refcount, r->location.reference}};
        Qcow2FindingRecord part;
        uint64_t end;

        drop_users(e, &s);
        take_users(e, &s);
        end = last ? s.end : same_users_end(e, &s);
        if (last && end - s.at > 1) {
            g_array_set_size(active, 0);
        }
        part = make_part(e, r, &s, end);
        if (!join_bitmap_data(to, &part)) {
            part.message = qcow2_finding_add_message(&message, e->records->texts);
            qcow2_finding_records_add(to, &part);
        }
        s.at = end;
    }
}

/* ---- a record with a place of its own ---- */

/* Returns true if @u is what the record is about: it has the same words, in the same tree. */
static bool is_own(const Explainer *e, const Qcow2FindingRecord *r, const Qcow2User *u)
{
    uint64_t last_entry = u->entry_offset;

    if (u->structure == IMAGE_CHECK_STRUCTURE_DATA) {
        last_entry += (u->size - 1) / e->header->cluster_size * qcow2_l2_entry_size(e->header);
    }
    return r->location.snapshot == snapshot_name(e, u) && u->entry_offset <= r->last_entry &&
           last_entry >= r->location.entry_offset;
}

static void name_others(Explainer *e, Qcow2FindingRecord *r)
{
    uint64_t first = r->location.cluster_offset >> e->header->cluster_bits;
    uint64_t end = ((r->location.cluster_offset + r->location.cluster_size - 1) >> e->header->cluster_bits) + 1;

    for (guint i = find_first_user(e, first); i < e->users->len && e->examined < LIMIT_USERS_EXAMINED;
         i++, e->examined++) {
        const Qcow2User *u = &g_array_index(e->users, Qcow2User, i);

        if (first_cluster(e, u) >= end) {
            return;
        }
        if (end_cluster(e, u) > first && !is_own(e, r, u)) {
            Qcow2Location location = user_location(e, u, first, end);

            name_other(e, r, &location);
        }
    }
}

/* ---- all of them ---- */

static void explain_records(Explainer *e)
{
    g_autoptr(Qcow2FindingRecords) explained = qcow2_finding_records_new();

    for (guint i = 0; i < e->records->n; i++) {
        Qcow2FindingRecord r = qcow2_finding_records_at(e->records, i);
        Telling how = telling(e->check, &r);

        if (how == TELL_PARTS) {
            divide(e, &r, explained);
            continue;
        }
        if (how == TELL_OTHERS) {
            name_others(e, &r);
        }
        qcow2_finding_records_add(explained, &r);
    }
    qcow2_collector_replace(e->check->collector, explained);
}

void qcow2_tell_trees_apart(Qcow2Check *check, GArray **users)
{
    Explainer e = {.check = check, .header = &check->image->header, .users = *users};

    tell_trees_apart(&e);
    *users = e.users;
}

bool qcow2_explain_findings(Qcow2Check *check, GError **errp)
{
    Explainer e = {
        .check = check, .header = &check->image->header, .records = qcow2_collector_records(check->collector)};
    g_autoptr(GArray) ranges = wanted_ranges(&e);
    bool ok;

    if (!ranges->len) {
        return true;
    }
    e.users = g_array_new(FALSE, FALSE, sizeof(Qcow2User));
    e.ends = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    ok = qcow2_find_users(check, (const Qcow2ClusterRange *)(void *)ranges->data, ranges->len, e.users, errp);
    if (ok) {
        tell_trees_apart(&e);
        note_ends(&e);
        explain_records(&e);
    }
    g_array_unref(e.users);
    g_array_unref(e.ends);
    return ok;
}
