/*
 * The findings of a check, collected.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/findings/collector.h"

#include <assert.h>
#include <string.h>

#include "block/limits.h"

/* Records that the next fault may continue: several kinds of fault, or of trees, may take turns. */
#define OPEN_RECORDS 8

typedef struct OpenRecord {
    guint index;
    Qcow2FindingRecord record;
} OpenRecord;

struct Qcow2Collector {
    size_t limit;
    uint64_t text; /* bytes of messages and names of snapshots in the records */
    bool replaced; /* the records; their text is not known then */
    bool only_corruptions;
    Qcow2FindingRecords *records;
    OpenRecord *open[OPEN_RECORDS]; /* the one that was continued last in front */
    size_t n_open;
    OpenRecord room[OPEN_RECORDS];
    char message[QCOW2_USUAL_MESSAGE];   /* of the last record, where it does not keep it */
    uint64_t beyond[QCOW2_FINDING__MAX]; /* faults that are in no record */
};

Qcow2Collector *qcow2_collector_new(size_t limit, bool only_corruptions)
{
    Qcow2Collector *c = g_new0(Qcow2Collector, 1);

    c->limit = limit;
    c->only_corruptions = only_corruptions;
    c->records = qcow2_finding_records_new();
    for (size_t i = 0; i < OPEN_RECORDS; i++) {
        c->open[i] = &c->room[i];
    }
    return c;
}

void qcow2_collector_free(Qcow2Collector *c)
{
    if (c) {
        qcow2_finding_records_free(c->records);
        g_free(c);
    }
}

Qcow2FindingRecords *qcow2_collector_records(Qcow2Collector *c)
{
    return c->records;
}

void qcow2_collector_replace(Qcow2Collector *c, Qcow2FindingRecords *others)
{
    qcow2_finding_records_replace(c->records, others);
    c->replaced = true;
    c->n_open = 0;
}

/* ---- merging ---- */

static bool same_fault(const Qcow2FindingRecord *r, const Qcow2Finding *f)
{
    const Qcow2Location *a = &r->location, *b = &f->location;

    return r->kind == f->kind && !f->has_evidence && a->structure == b->structure && a->snapshot == b->snapshot &&
           a->bitmap == b->bitmap && a->has_refcount == b->has_refcount && a->refcount == b->refcount &&
           a->has_reference == b->has_reference && a->reference == b->reference && a->has_entry == b->has_entry &&
           !a->cluster_size == !b->cluster_size && !a->guest_size == !b->guest_size;
}

/* The same word once more: a table that is referred to twice from the same tree has its faults twice. */
static bool is_repeated(const Qcow2FindingRecord *r, const Qcow2Location *p)
{
    const Qcow2Location *a = &r->location;

    return a->has_entry && r->last_entry == p->entry_offset && a->entry_offset == p->entry_offset &&
           a->cluster_offset == p->cluster_offset && a->cluster_size == p->cluster_size &&
           a->guest_offset == p->guest_offset && a->guest_size == p->guest_size;
}

/* Returns true if @p begins where @r ends, in every respect in which they have a place at all. */
static bool is_next(const Qcow2FindingRecord *r, const Qcow2Location *p)
{
    const Qcow2Location *a = &r->location;
    /* words of a table follow one another; extended L2 entries are of two */
    bool next_entry = p->entry_offset == r->last_entry + 8 || p->entry_offset == r->last_entry + 16;

    return (!a->has_entry || next_entry) &&
           (!a->cluster_size || p->cluster_offset == a->cluster_offset + a->cluster_size) &&
           (!a->guest_size || p->guest_offset == a->guest_offset + a->guest_size) &&
           (a->has_entry || a->cluster_size || a->guest_size);
}

/* Returns true if it is clear at once that @p does not continue @r: most scattered leaks are of this sort. */
static bool is_elsewhere(const Qcow2FindingRecord *r, const Qcow2Location *p)
{
    const Qcow2Location *a = &r->location;

    return !a->has_entry && a->cluster_size && p->cluster_offset != a->cluster_offset + a->cluster_size;
}

/* Returns true if @f is of the next entry, and it has the value of all entries of @r: one cause, such as an overwritten
 * table. */
static bool is_same_value(const Qcow2FindingRecord *r, const Qcow2Finding *f)
{
    const Qcow2Location *a = &r->location, *p = &f->location;

    return (r->same_value || r->count == 1) && a->has_entry && a->cluster_size &&
           (p->entry_offset == r->last_entry + 8 || p->entry_offset == r->last_entry + 16) &&
           p->cluster_offset == a->cluster_offset && p->cluster_size == a->cluster_size &&
           (!a->guest_size || p->guest_offset == a->guest_offset + a->guest_size);
}

static bool extend(Qcow2FindingRecord *r, const Qcow2Finding *f)
{
    if (is_elsewhere(r, &f->location) || !same_fault(r, f)) {
        return false;
    }
    if (is_same_value(r, f)) {
        r->same_value = true;
        r->location.guest_size += f->location.guest_size;
        r->last_entry = f->location.entry_offset;
    } else if (!is_repeated(r, &f->location)) {
        if (r->same_value || !is_next(r, &f->location)) {
            return false;
        }
        r->location.cluster_size += f->location.cluster_size;
        r->location.guest_size += f->location.guest_size;
        r->last_entry = f->location.entry_offset;
    }
    r->count++;
    return true;
}

/* Puts number @position of the open records in front of them. */
static void move_to_front(Qcow2Collector *c, size_t position)
{
    OpenRecord *record = c->open[position];

    for (size_t i = position; i > 0; i--) {
        c->open[i] = c->open[i - 1];
    }
    c->open[0] = record;
}

static bool is_wanted(const Qcow2Collector *c, ImageCheckFindingKind kind)
{
    return !c->only_corruptions || qcow2_finding_severity(kind) == IMAGE_CHECK_SEVERITY_CORRUPTION;
}

void qcow2_collector_add_unlisted(Qcow2Collector *c, ImageCheckFindingKind kind, uint64_t n)
{
    c->beyond[kind] += is_wanted(c, kind) ? n : 0;
}

static uint64_t text_limit(const Qcow2Collector *c)
{
    return (uint64_t)c->limit * LIMIT_FINDING_TEXT;
}

/* The bytes that @text, which may be NULL, takes in JSON. */
static uint64_t length_of(const char *text)
{
    size_t length = text ? strlen(text) : 0;
    uint64_t escaped = 0;

    for (size_t i = 0; i < length; i++) {
        escaped += text[i] < ' ' || text[i] > '~';
    }
    return length + 5 * escaped;
}

/* Begins a record with @f, which is open then. Returns its message. */
static const char *begin_record(Qcow2Collector *c, const Qcow2Finding *f)
{
    size_t position = MIN(c->n_open, OPEN_RECORDS - 1);
    OpenRecord *open = c->open[position];
    const char *message;

    open->index = c->records->n;
    open->record = (Qcow2FindingRecord){
        .kind = f->kind,
        .has_evidence = f->has_evidence,
        .evidence = f->evidence,
        .count = 1,
        .location = f->location,
        .last_entry = f->location.entry_offset,
    };
    if (qcow2_finding_message_follows(f)) {
        c->text += qcow2_finding_put_message(f, c->message);
        message = c->message;
    } else {
        message = open->record.message = qcow2_finding_add_message(f, c->records->texts);
        c->text += length_of(message);
    }
    c->text += length_of(f->location.snapshot) + length_of(f->location.bitmap);
    qcow2_finding_records_add(c->records, &open->record);
    move_to_front(c, position);
    c->n_open = position + 1;
    return message;
}

const char *qcow2_collector_add(Qcow2Collector *c, const Qcow2Finding *f)
{
    assert(f->kind < QCOW2_FINDING__MAX);
    if (!is_wanted(c, f->kind)) {
        return NULL;
    }
    for (size_t i = 0; i < c->n_open; i++) {
        OpenRecord *open = c->open[i];

        if (extend(&open->record, f)) {
            qcow2_finding_records_set(c->records, open->index, &open->record);
            move_to_front(c, i);
            return NULL;
        }
    }
    if (c->records->n >= c->limit || c->text >= text_limit(c)) {
        c->beyond[f->kind]++;
        return NULL;
    }
    return begin_record(c, f);
}

/* ---- the list ---- */

/* Adds a record that stands for all those of @kind that have none. */
static void append_rest(Qcow2FindingRecords *records, ImageCheckFindingKind kind, uint64_t count)
{
    g_autofree char *message =
        g_strdup_printf("%" G_GUINT64_FORMAT " more findings of this kind are not listed", count);
    Qcow2FindingRecord rest = {
        .kind = kind,
        .count = count,
        .location.structure = IMAGE_CHECK_STRUCTURE_NONE,
        .message = g_string_chunk_insert(records->texts, message),
    };

    qcow2_finding_records_add(records, &rest);
}

/* Leaves out users that find no room any more. */
static void keep_users(Qcow2Collector *c, Qcow2FindingRecord *r)
{
    uint32_t n;

    for (n = 0; n < r->n_users && c->text < text_limit(c); n++) {
        const Qcow2Location *user = &g_array_index(c->records->users, Qcow2Location, r->first_user + n);

        c->text += length_of(user->snapshot) + length_of(user->bitmap);
    }
    r->n_users = n;
}

/* Leaves out what does not fit any more where there are users, and more records. */
static void keep_to_limit(Qcow2Collector *c)
{
    char message[QCOW2_USUAL_MESSAGE];
    guint n;

    if (!c->replaced) {
        return;
    }
    c->text = 0;
    for (n = 0; n < c->records->n && c->text < text_limit(c); n++) {
        Qcow2FindingRecord r = qcow2_finding_records_at(c->records, n);

        c->text += length_of(qcow2_finding_record_message(&r, message)) + length_of(r.location.snapshot) +
                   length_of(r.location.bitmap);
        keep_users(c, &r);
        qcow2_finding_records_set(c->records, n, &r);
    }
    for (guint i = n; i < c->records->n; i++) {
        Qcow2FindingRecord r = qcow2_finding_records_at(c->records, i);

        c->beyond[r.kind] += r.count;
    }
    qcow2_finding_records_cut(c->records, n);
}

Qcow2FindingRecords *qcow2_collector_finish(Qcow2Collector *c)
{
    Qcow2FindingRecords *records = c->records;

    keep_to_limit(c);
    for (ImageCheckFindingKind kind = 0; kind < QCOW2_FINDING__MAX; kind++) {
        if (c->beyond[kind]) {
            append_rest(records, kind, c->beyond[kind]);
        }
        c->beyond[kind] = 0;
    }
    qcow2_finding_records_own_names(records);
    c->records = qcow2_finding_records_new();
    c->n_open = 0;
    return records;
}
