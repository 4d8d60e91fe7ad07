/*
 * Findings as records, and the objects that are made of them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/findings/records.h"

#include <assert.h>

#include "block/limits.h"
#include "util/number.h"

#define TEXT_BLOCK ((gsize)64 << 10) /* bytes that are allocated at once for texts */
#define PER_BLOCK  256u              /* records that are allocated at once */
#define NOT_PACKED 0                 /* count of a packed record whose offset is the number of another one */

Qcow2FindingRecords *qcow2_finding_records_new(void)
{
    Qcow2FindingRecords *records = g_new(Qcow2FindingRecords, 1);

    *records = (Qcow2FindingRecords){
        .packed = g_ptr_array_new_with_free_func(g_free),
        .others = g_ptr_array_new_with_free_func(g_free),
        .users = g_array_new(FALSE, FALSE, sizeof(Qcow2Location)),
        .texts = g_string_chunk_new(TEXT_BLOCK),
    };
    return records;
}

void qcow2_finding_records_free(Qcow2FindingRecords *records)
{
    if (records) {
        g_ptr_array_unref(records->packed);
        g_ptr_array_unref(records->others);
        g_array_unref(records->users);
        g_string_chunk_free(records->texts);
        g_free(records);
    }
}

/* ---- places ---- */

static PackedRecord *packed_at(const Qcow2FindingRecords *records, guint index)
{
    PackedRecord *block = g_ptr_array_index(records->packed, index / PER_BLOCK);

    return &block[index % PER_BLOCK];
}

static Qcow2FindingRecord *other_at(const Qcow2FindingRecords *records, guint number)
{
    Qcow2FindingRecord *block = g_ptr_array_index(records->others, number / PER_BLOCK);

    return &block[number % PER_BLOCK];
}

static void add_other(Qcow2FindingRecords *records, const Qcow2FindingRecord *record, PackedRecord *packed)
{
    if (records->n_others == records->others->len * PER_BLOCK) {
        g_ptr_array_add(records->others, g_new(Qcow2FindingRecord, PER_BLOCK));
    }
    *packed = (PackedRecord){.count = NOT_PACKED, .cluster_offset = records->n_others};
    *other_at(records, records->n_others++) = *record;
}

Qcow2FindingRecord qcow2_finding_records_at(const Qcow2FindingRecords *records, guint index)
{
    const PackedRecord *packed;

    assert(index < records->n);
    packed = packed_at(records, index);
    return packed->count == NOT_PACKED ? *other_at(records, (guint)packed->cluster_offset)
                                       : packed_record_unpack(packed);
}

void qcow2_finding_records_set(Qcow2FindingRecords *records, guint index, const Qcow2FindingRecord *record)
{
    PackedRecord *packed;

    assert(index < records->n && record->count);
    packed = packed_at(records, index);
    records->named |= record->location.snapshot || record->location.bitmap;
    if (packed->count == NOT_PACKED) {
        *other_at(records, (guint)packed->cluster_offset) = *record;
    } else if (!packed_record_from(record, packed)) {
        add_other(records, record, packed);
    }
}

void qcow2_finding_records_add(Qcow2FindingRecords *records, const Qcow2FindingRecord *record)
{
    if (records->n == records->packed->len * PER_BLOCK) {
        g_ptr_array_add(records->packed, g_new(PackedRecord, PER_BLOCK));
    }
    *packed_at(records, records->n++) = (PackedRecord){.count = 1};
    qcow2_finding_records_set(records, records->n - 1, record);
}

void qcow2_finding_records_cut(Qcow2FindingRecords *records, guint n)
{
    assert(n <= records->n);
    records->n = n;
    g_ptr_array_set_size(records->packed, (gint)DIV_ROUND_UP(n, PER_BLOCK));
}

void qcow2_finding_records_replace(Qcow2FindingRecords *records, Qcow2FindingRecords *other)
{
    Qcow2FindingRecords before = *records;

    records->packed = other->packed;
    records->others = other->others;
    records->n = other->n;
    records->n_others = other->n_others;
    records->named = other->named;
    other->packed = before.packed;
    other->others = before.others;
    other->n_others = before.n_others;
    other->n = before.n;
}

/* ---- names ---- */

/* The copy of @name, which is borrowed from the check: one for each address, as many records have the same. */
static const char *own_name(const Qcow2FindingRecords *records, GHashTable *owned, const char *name)
{
    char *copy;

    if (!name) {
        return NULL;
    }
    copy = g_hash_table_lookup(owned, name);
    if (!copy) {
        copy = g_string_chunk_insert(records->texts, name);
        g_hash_table_insert(owned, (char *)name, copy);
    }
    return copy;
}

static void own_names_of(const Qcow2FindingRecords *records, GHashTable *owned, Qcow2Location *location)
{
    location->snapshot = own_name(records, owned, location->snapshot);
    location->bitmap = own_name(records, owned, location->bitmap);
}

/* Copies the names of records that are not packed from @first_other on, and of other users from @first_user on. */
static void own_names_from(Qcow2FindingRecords *records, guint first_other, guint first_user)
{
    g_autoptr(GHashTable) owned = g_hash_table_new(NULL, NULL);

    for (guint i = first_other; records->named && i < records->n_others; i++) {
        own_names_of(records, owned, &other_at(records, i)->location);
    }
    for (guint i = first_user; i < records->users->len; i++) {
        own_names_of(records, owned, &g_array_index(records->users, Qcow2Location, i));
    }
}

void qcow2_finding_records_own_names(Qcow2FindingRecords *records)
{
    own_names_from(records, 0, 0);
}

/* ---- objects of the schema ---- */

/* A range that an object refers to; the second is of the guest's disk. */
enum { IN_FILE, IN_GUEST, RANGES };

typedef struct FindingView {
    ImageCheckFinding finding;
    Qcow2Allocation ranges[RANGES];
    ImageCheckUser users[LIMIT_OTHER_USERS];
    Qcow2Allocation user_ranges[LIMIT_OTHER_USERS][RANGES];
    char message[QCOW2_USUAL_MESSAGE];
} FindingView;

static Qcow2Allocation *show_range(Qcow2Allocation *range, uint64_t offset, uint64_t size)
{
    *range = (Qcow2Allocation){.offset = offset, .size = size};
    return size ? range : NULL;
}

static void show_user(ImageCheckUser *user, Qcow2Allocation *ranges, const Qcow2Location *location)
{
    *user = (ImageCheckUser){
        .structure = location->structure,
        .has_entry_offset = location->has_entry,
        .entry_offset = location->entry_offset,
        .cluster = show_range(&ranges[IN_FILE], location->cluster_offset, location->cluster_size),
        .guest = show_range(&ranges[IN_GUEST], location->guest_offset, location->guest_size),
        .snapshot = (char *)location->snapshot,
        .bitmap = (char *)location->bitmap,
    };
}

static void show_users(FindingView *view, const Qcow2FindingRecords *records, const Qcow2FindingRecord *r)
{
    assert(r->n_users <= LIMIT_OTHER_USERS);
    for (uint32_t i = 0; i < r->n_users; i++) {
        show_user(&view->users[i], view->user_ranges[i],
                  &g_array_index(records->users, Qcow2Location, r->first_user + i));
    }
    view->finding.has_other_users = r->n_users;
    view->finding.other_users =
        (ImageCheckUserList){.items = view->users, .len = r->n_users, .capacity = LIMIT_OTHER_USERS};
}

static const void *show_record(const void *owner, size_t index, void *opaque)
{
    const Qcow2FindingRecords *records = owner;
    Qcow2FindingRecord r = qcow2_finding_records_at(records, (guint)index);
    const Qcow2Location *location = &r.location;
    FindingView *view = opaque;

    view->finding = (ImageCheckFinding){
        .kind = r.kind,
        .severity = qcow2_finding_severity(r.kind),
        .structure = location->structure,
        .has_entry_offset = location->has_entry,
        .entry_offset = location->entry_offset,
        .cluster = show_range(&view->ranges[IN_FILE], location->cluster_offset, location->cluster_size),
        .guest = show_range(&view->ranges[IN_GUEST], location->guest_offset, location->guest_size),
        .snapshot = (char *)location->snapshot,
        .bitmap = (char *)location->bitmap,
        .has_refcount = location->has_refcount,
        .refcount = location->refcount,
        .has_reference = location->has_reference,
        .reference = location->reference,
        .has_evidence = r.has_evidence,
        .evidence = r.evidence,
        .fixed = r.fixed,
        .message = (char *)qcow2_finding_record_message(&r, view->message),
    };
    view->finding.count = view->finding.severity == IMAGE_CHECK_SEVERITY_NOTE ? 0 : (int64_t)r.count;
    show_users(view, records, &r);
    return &view->finding;
}

static void free_records(void *owner)
{
    qcow2_finding_records_free(owner);
}

static const QapiSequenceOps record_ops = {.view_size = sizeof(FindingView), .look = show_record, .free = free_records};

QapiSequence qcow2_finding_records_show(Qcow2FindingRecords *records)
{
    return (QapiSequence){.ops = &record_ops, .owner = records, .len = records->n};
}

/* ---- what was fixed ---- */

/* What tells records of two checks apart. */
typedef struct RecordKey {
    ImageCheckFindingKind kind;
    bool in_file;
    uint64_t cluster_offset; /* where it is in_file, or 0 */
    uint64_t entry_offset;
    const char *snapshot;
} RecordKey;

static RecordKey key_of(const Qcow2FindingRecord *r)
{
    const Qcow2Location *p = &r->location;

    return (RecordKey){
        .kind = r->kind,
        .in_file = p->cluster_size,
        .cluster_offset = p->cluster_size ? p->cluster_offset : 0,
        .entry_offset = p->entry_offset,
        .snapshot = p->snapshot,
    };
}

static guint hash_key(gconstpointer key)
{
    const RecordKey *k = key;
    uint64_t place = k->entry_offset ^ k->cluster_offset << 1;

    return hash_u64(&place) ^ (guint)k->kind;
}

static gboolean is_same_key(gconstpointer a, gconstpointer b)
{
    const RecordKey *x = a, *y = b;

    return x->kind == y->kind && x->entry_offset == y->entry_offset && x->in_file == y->in_file &&
           x->cluster_offset == y->cluster_offset && g_strcmp0(x->snapshot, y->snapshot) == 0;
}

static void add_copy(Qcow2FindingRecords *to, const Qcow2FindingRecords *from, const Qcow2FindingRecord *record)
{
    Qcow2FindingRecord copy = *record;

    copy.message = record->message ? g_string_chunk_insert(to->texts, record->message) : NULL;
    copy.first_user = to->users->len;
    if (copy.n_users) {
        g_array_append_vals(to->users, &g_array_index(from->users, Qcow2Location, record->first_user), copy.n_users);
    }
    qcow2_finding_records_add(to, &copy);
}

void qcow2_findings_add_fixed(QapiSequence *findings, Qcow2FindingRecords *before)
{
    g_autoptr(GHashTable) left = g_hash_table_new(hash_key, is_same_key);
    Qcow2FindingRecords *after = findings->owner;
    guint n = after->n, n_others = after->n_others, n_users = after->users->len;
    g_autofree RecordKey *keys = g_new(RecordKey, n);

    assert(findings->ops == &record_ops);
    for (guint i = 0; i < n; i++) {
        Qcow2FindingRecord r = qcow2_finding_records_at(after, i);

        keys[i] = key_of(&r);
        g_hash_table_add(left, &keys[i]);
    }
    for (guint i = 0; i < before->n; i++) {
        Qcow2FindingRecord r = qcow2_finding_records_at(before, i);
        RecordKey key = key_of(&r);

        r.fixed = qcow2_finding_severity(r.kind) != IMAGE_CHECK_SEVERITY_NOTE && !g_hash_table_contains(left, &key);
        if (r.fixed) {
            add_copy(after, before, &r);
        }
    }
    own_names_from(after, n_others, n_users);
    findings->len = after->n;
}
