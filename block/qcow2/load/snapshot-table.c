/*
 * The snapshot table.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/load/snapshot-table.h"

#include <errno.h>
#include <stddef.h>

#include "block/qcow2/format/format.h"
#include "util/number.h"

#define MAX_TABLE_SPAN INT32_MAX /* bytes of the file between the first entry and the end of the last */

typedef struct TableReader {
    SnapshotReader in;
    const Qcow2HeaderFields *header;
    Qcow2Snapshots *snapshots;
    Qcow2Report *report;
    bool asked;      /* for a repair of too many entries, be there one or not */
    uint64_t at;     /* where the next entry begins */
    uint64_t length; /* of the entries so far, extra data counted no more than is kept of it */
    uint32_t n;      /* entries to be read */
    bool unfinished; /* there is more, and nobody knows where */
} TableReader;

/* A word of the entry at @entry, @field bytes into it. */
static Qcow2Location entry_word(uint64_t entry, size_t field)
{
    return qcow2_location(IMAGE_CHECK_STRUCTURE_SNAPSHOT_TABLE, entry + field, entry, sizeof(Qcow2DiskSnapshot));
}

/* A word of the header, @field bytes into it, which is about the table. */
static Qcow2Location header_word(size_t field)
{
    return qcow2_location(IMAGE_CHECK_STRUCTURE_HEADER, field, 0, 0);
}

/* Reports that @size bytes of the table at @offset cannot be read. */
static void report_unreadable(TableReader *r, uint64_t offset, uint64_t size, int error)
{
    qcow2_report(r->report,
                 &(Qcow2Finding){.kind = QCOW2_FINDING_SNAPSHOT_TABLE_UNREADABLE,
                                 .texts = {g_strerror(-error)},
                                 .location = qcow2_location_range(IMAGE_CHECK_STRUCTURE_SNAPSHOT_TABLE, offset, size)});
    qcow2_report_failure(r->report, -error);
}

static void clear_snapshot(gpointer opaque)
{
    Qcow2Snapshot *s = opaque;

    g_free(s->id);
    g_free(s->name);
}

static bool read_strings(TableReader *r, uint64_t at, size_t id_size, size_t name_size, Qcow2Snapshot *s)
{
    int error;
    const uint8_t *bytes = snapshot_peek(&r->in, at, id_size + name_size, &error);

    if (!bytes) {
        report_unreadable(r, at, id_size + name_size, error);
        r->unfinished = true;
        return false;
    }
    s->id = g_strndup((const char *)bytes, id_size);
    s->name = g_strndup((const char *)bytes + id_size, name_size);
    return true;
}

static bool too_many(const TableReader *r)
{
    return r->header->nb_snapshots > QCOW2_MAX_SNAPSHOTS;
}

/* Returns true if faults of @kind are repaired: then they are corruptions, not failures. */
static bool repairing(const TableReader *r, ImageCheckFindingKind kind)
{
    return r->report->repairing & QCOW2_FINDING_BIT(kind);
}

/* Reports what keeps a check from going on. */
static void report_failure(TableReader *r, Qcow2Finding *finding, int error)
{
    finding->no_advice = r->report->no_advice;
    qcow2_report(r->report, finding);
    qcow2_report_failure(r->report, error);
}

/* Reports that the table ends before entry @i at @offset, which does not fit the limits any more. */
static void report_too_big(TableReader *r, uint32_t i, uint64_t offset)
{
    uint32_t left = MIN(r->header->nb_snapshots, QCOW2_MAX_SNAPSHOTS) - i;
    Qcow2Finding finding = {QCOW2_FINDING_SNAPSHOT_TABLE_TOO_BIG, {left}, .location = entry_word(offset, 0)};

    if (repairing(r, finding.kind)) {
        qcow2_report_discarded(r->report, &finding, left,
                               "Discarding %" PRIu32 " overhanging snapshots (snapshot table is too big)\n", left);
        return;
    }
    report_failure(r, &finding, EFBIG);
}

static void report_extra(TableReader *r, uint32_t i, uint64_t offset, uint32_t extra)
{
    Qcow2Finding finding = {
        QCOW2_FINDING_SNAPSHOT_EXTRA_TOO_LARGE,
        {i},
        .location = entry_word(offset, offsetof(Qcow2DiskSnapshot, extra_data_size)),
    };

    if (!r->unfinished && repairing(r, finding.kind)) {
        qcow2_report_discarded(r->report, &finding, 1,
                               "Discarding too much extra metadata in snapshot table entry %" PRIu32 " (%" PRIu32
                               " > %d)\n",
                               i, extra, QCOW2_MAX_SNAPSHOT_EXTRA);
        return;
    }
    report_failure(r, &finding, EFBIG);
}

/* ---- reading ---- */

static bool take_entry(TableReader *r, Qcow2Snapshot *s, uint64_t end)
{
    s->lost_tree = snapshot_has_no_tree(s) && !qcow2_snapshot_is_zeros(s) && snapshot_lost_tree(&r->in, s);
    if (!read_strings(r, s->strings, s->id_size, s->name_size, s)) {
        return false;
    }
    g_array_append_val(r->snapshots->items, *s);
    r->at = end;
    r->snapshots->table_length = end - r->header->snapshots_offset;
    return true;
}

/* Entry @i is @s, and its length cannot be right. */
static bool read_oversized(TableReader *r, uint32_t i, Qcow2Snapshot *s)
{
    bool last = i + 1 >= r->n;
    uint64_t next;
    bool recovered = snapshot_recover(&r->in, s, last, &next);

    r->unfinished = !next && !last;
    report_extra(r, i, s->entry_offset, s->extra_data_size);
    if (!recovered || !(snapshot_has_tree(&r->in, s) || snapshot_has_no_tree(s))) {
        if (!r->unfinished && repairing(r, QCOW2_FINDING_SNAPSHOT_EXTRA_TOO_LARGE) && r->report->messages) {
            fprintf(r->report->messages, "Snapshot table entry %" PRIu32 " cannot be read, and is given up\n", i);
        }
        r->at = next;
        return next != 0;
    }
    r->length = (r->length + 7) / 8 * 8 + sizeof(Qcow2DiskSnapshot) + s->extra_kept + s->id_size + s->name_size;
    return take_entry(r, s, s->strings + s->id_size + s->name_size);
}

/* Reads entry @i at r->at; false when nothing behind it can be read. */
static bool read_entry(TableReader *r, uint32_t i)
{
    Qcow2Snapshot s;
    uint64_t start, end;
    int error;

    if (!align_up_u64(r->at, QCOW2_SNAPSHOT_ALIGNMENT, &start)) {
        r->unfinished = true;
        return false;
    }
    error = snapshot_read_fixed(&r->in, start, &s);
    if (error) {
        report_unreadable(r, start, sizeof(Qcow2DiskSnapshot), error);
        r->unfinished = true;
        return false;
    }
    if (s.extra_data_size > QCOW2_MAX_SNAPSHOT_EXTRA) {
        return read_oversized(r, i, &s);
    }
    s.strings = start + sizeof(Qcow2DiskSnapshot) + s.extra_data_size;
    s.extra_kept = s.extra_data_size;
    end = s.strings + s.id_size + s.name_size;
    r->length = (r->length + 7) / 8 * 8 + (end - start);
    if (r->length > QCOW2_MAX_SNAPSHOT_TABLE_BYTES || end - r->header->snapshots_offset > MAX_TABLE_SPAN) {
        if (!too_many(r) || repairing(r, QCOW2_FINDING_SNAPSHOTS_TOO_MANY)) {
            report_too_big(r, i, start);
        }
        return false;
    }
    return take_entry(r, &s, end);
}

/*
 * How many entries there are where the header counts too many: those up to the last one that has an L1 table, or needs
 * none. An entry between them that has not is one as long as it has an ID.
 */
static uint32_t count_entries(TableReader *r)
{
    uint64_t start, end = r->header->snapshots_offset;
    uint32_t sound = 0;
    Qcow2Snapshot s;

    for (uint32_t i = 0; i < QCOW2_MAX_SNAPSHOTS; i++) {
        bool parsed = align_up_u64(end, QCOW2_SNAPSHOT_ALIGNMENT, &start) && snapshot_parse(&r->in, start, &s) &&
                      s.extra_data_size <= QCOW2_MAX_SNAPSHOT_EXTRA;
        bool has_tree = parsed && snapshot_has_tree(&r->in, &s);
        bool has_id = parsed && !has_tree && snapshot_has_id(&r->in, &s);

        if (r->in.failed) {
            return i + 1; /* reading this entry will fail again, and be reported */
        }
        if (!has_tree && !has_id) {
            break;
        }
        sound = has_tree || snapshot_has_no_tree(&s) ? i + 1 : sound;
        end = start + sizeof(Qcow2DiskSnapshot) + s.extra_data_size + s.id_size + s.name_size;
        if (end - r->header->snapshots_offset > QCOW2_MAX_SNAPSHOT_TABLE_BYTES) {
            return i + 1; /* reported as being too much */
        }
    }
    return sound;
}

static void report_too_many(TableReader *r)
{
    uint32_t left = r->header->nb_snapshots - QCOW2_MAX_SNAPSHOTS;
    Qcow2Finding finding = {
        QCOW2_FINDING_SNAPSHOTS_TOO_MANY, {left}, .location = header_word(offsetof(Qcow2DiskHeader, nb_snapshots))};

    if (!repairing(r, finding.kind)) {
        report_failure(r, &finding, EFBIG);
        return;
    }
    qcow2_report_discarded(r->report, &finding, left, "Discarding %" PRIu32 " overhanging snapshots\n", left);
    if (r->n < QCOW2_MAX_SNAPSHOTS && r->report->messages) {
        fprintf(r->report->messages, "Snapshot table entries from %" PRIu32 " on cannot be read, and are given up\n",
                r->n);
    }
}

/* Returns true if the table can be where the header says (docs/interop/check-behaviour.rst 3.1, item 1). */
static bool pointer_valid(const Qcow2HeaderFields *h)
{
    uint64_t end;

    return h->snapshots_offset % h->cluster_size == 0 &&
           add_u64(h->snapshots_offset, sizeof(Qcow2DiskSnapshot) * (uint64_t)h->nb_snapshots, &end) &&
           end <= INT64_MAX;
}

/* Reports that the table cannot be where the header says; or only that it would be too large, as the stock tool does.
 */
static void report_pointer(TableReader *r)
{
    Qcow2Finding finding = {QCOW2_FINDING_SNAPSHOT_TABLE_UNALIGNED,
                            .location = header_word(offsetof(Qcow2DiskHeader, snapshots_offset))};

    if (too_many(r) && !r->asked) {
        report_too_many(r);
        return;
    }
    report_failure(r, &finding, EINVAL);
}

/* Returns true if something looks like another entry in the clusters of the table, behind the last one that is counted.
 */
static bool any_entry_behind(TableReader *r)
{
    const Qcow2HeaderFields *h = r->header;
    uint64_t start, end;

    return r->snapshots->items->len == h->nb_snapshots && !r->unfinished && h->snapshots_offset != 0 &&
           align_up_u64(r->at, QCOW2_SNAPSHOT_ALIGNMENT, &start) &&
           align_up_u64(MAX(r->at, h->snapshots_offset + 1), h->cluster_size, &end) &&
           start + sizeof(Qcow2DiskSnapshot) <= end && snapshot_is_entry(&r->in, start);
}

/*
 * What was cut off, or never there, reads as zeros. Written anew, they would be a snapshot of nothing that no check
 * finds fault with, and where the table may be would be forgotten.
 */
static bool is_there(const Qcow2Snapshots *snapshots, uint64_t length)
{
    for (guint i = 0; i < snapshots->items->len; i++) {
        const Qcow2Snapshot *s = &g_array_index(snapshots->items, Qcow2Snapshot, i);

        if (s->strings + s->id_size + s->name_size > length || qcow2_snapshot_is_zeros(s)) {
            return false;
        }
    }
    return true;
}

static void report_incomplete(TableReader *r)
{
    for (uint32_t i = 0; r->header->version >= 3 && i < r->snapshots->items->len; i++) {
        const Qcow2Snapshot *s = &g_array_index(r->snapshots->items, Qcow2Snapshot, i);

        if (s->extra_kept < QCOW2_V3_MIN_SNAPSHOT_EXTRA) {
            Qcow2Location location = entry_word(s->entry_offset, offsetof(Qcow2DiskSnapshot, extra_data_size));

            location.snapshot = s->name;
            qcow2_report(r->report, &(Qcow2Finding){QCOW2_FINDING_SNAPSHOT_INCOMPLETE, {i}, .location = location});
        }
    }
}

/* Reads the entries of a table that can be where the header says, and reports their faults. */
static void read_table(TableReader *r)
{
    const Qcow2HeaderFields *h = r->header;

    r->n = too_many(r) ? count_entries(r) : h->nb_snapshots;
    if (too_many(r)) {
        report_too_many(r);
    }
    for (uint32_t i = 0; i < r->n && read_entry(r, i); i++) {
        continue;
    }
    r->snapshots->complete = h->nb_snapshots > 0 && !r->unfinished;
    r->snapshots->there = is_there(r->snapshots, r->in.source->length);
    /* it may be left as it is */
    if (repairing(r, QCOW2_FINDING_SNAPSHOT_INCOMPLETE) && (!r->snapshots->there || any_entry_behind(r))) {
        r->report->repairing &= ~QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOT_INCOMPLETE);
    }
    report_incomplete(r);
}

static void read_and_report(BlockSource *source, const Qcow2HeaderFields *h, Qcow2Snapshots *snapshots,
                            Qcow2Report *report, bool asked)
{
    TableReader r = {
        .in = {.source = source, .header = h},
        .header = h,
        .snapshots = snapshots,
        .report = report,
        .asked = asked,
        .at = h->snapshots_offset,
    };

    *snapshots = (Qcow2Snapshots){.items = g_array_new(FALSE, FALSE, sizeof(Qcow2Snapshot))};
    g_array_set_clear_func(snapshots->items, clear_snapshot);
    if (!pointer_valid(h)) {
        report_pointer(&r);
    } else if (h->nb_snapshots || h->snapshots_offset) {
        read_table(&r);
    }
    snapshot_reader_clear(&r.in);
}

/* Returns true if the faults in @found, of a table that was read, are all among those that are repaired. */
static bool repairs_all(const Qcow2Snapshots *snapshots, const Qcow2Report *found, uint64_t repaired)
{
    for (ImageCheckFindingKind kind = 0; kind < QCOW2_FINDING__MAX; kind++) {
        if (found->count_by_kind[kind] && (QCOW2_SNAPSHOT_TABLE_FAULTS & ~repaired & QCOW2_FINDING_BIT(kind))) {
            return false;
        }
    }
    return snapshots->complete;
}

void qcow2_read_snapshots(BlockSource *source, const Qcow2HeaderFields *h, Qcow2Snapshots *snapshots,
                          Qcow2Report *report)
{
    bool asked = report->repairing & QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOTS_TOO_MANY);

    if (report->repairing) { /* whether it is repaired is known when all of it is read */
        Qcow2Report found = {.repairing = report->repairing};

        read_and_report(source, h, snapshots, &found, asked);
        if (!repairs_all(snapshots, &found, report->repairing)) {
            report->repairing &= ~QCOW2_SNAPSHOT_TABLE_FAULTS;
        }
        qcow2_snapshots_clear(snapshots);
    }
    read_and_report(source, h, snapshots, report, asked);
}

void qcow2_snapshots_clear(Qcow2Snapshots *snapshots)
{
    g_clear_pointer(&snapshots->items, g_array_unref);
}
