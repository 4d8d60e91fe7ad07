/*
 * The snapshot table.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/load/snapshot-table.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "block/qcow2/format/format.h"
#include "util/number.h"
#include "util/search.h"

#define MAX_TABLE_SPAN INT32_MAX /* bytes of the file between the first entry and the end of the last */
#define READ_AHEAD     16384     /* bytes; entries are small, and most tables have few */

typedef struct TableReader {
    BlockSource *source;
    const Qcow2HeaderFields *header;
    Qcow2Snapshots *snapshots;
    Qcow2Report *report;
    GByteArray *window; /* bytes of the file from window_offset on */
    uint64_t window_offset;
    uint64_t at;     /* where the next entry begins */
    uint64_t length; /* of the entries so far, extra data counted no more than is kept of it */
    bool doubtful;   /* something was wrong: take only entries that make sense */
    bool unfinished; /* there is more, and nobody knows where */
} TableReader;

/* The @size bytes at @offset of the file; NULL and *error set (negative errno value) when they cannot be read. */
static const uint8_t *peek(TableReader *r, uint64_t offset, size_t size, int *error)
{
    bool inside = offset >= r->window_offset && offset - r->window_offset + size <= r->window->len;

    if (!inside) {
        g_byte_array_set_size(r->window, (guint)MAX(size, READ_AHEAD));
        r->window_offset = offset;
        *error = block_source_read(r->source, r->window->data, r->window->len, offset);
        if (*error && size < r->window->len) {
            /* what was read ahead need not be the table's */
            g_byte_array_set_size(r->window, (guint)size);
            *error = block_source_read(r->source, r->window->data, size, offset);
        }
        if (*error) {
            g_byte_array_set_size(r->window, 0);
            return NULL;
        }
    }
    return r->window->data + (offset - r->window_offset);
}

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

static bool plausible_tree(const Qcow2Snapshot *s, const Qcow2HeaderFields *h)
{
    return s->l1_table_offset && qcow2_snapshot_l1_valid(s, h);
}

static bool plausible(const Qcow2Snapshot *s, const Qcow2HeaderFields *h)
{
    return plausible_tree(s, h) && s->extra_data_size <= QCOW2_MAX_SNAPSHOT_EXTRA;
}

static void clear_snapshot(gpointer opaque)
{
    Qcow2Snapshot *s = opaque;

    g_free(s->id);
    g_free(s->name);
}

/* Reads the fixed part at @at. */
static bool read_fixed(TableReader *r, uint64_t at, Qcow2DiskSnapshot *d)
{
    int error;
    const uint8_t *bytes = peek(r, at, sizeof(*d), &error);

    if (!bytes) {
        report_unreadable(r, at, sizeof(*d), error);
        return false;
    }
    memcpy(d, bytes, sizeof(*d));
    return true;
}

static bool read_strings(TableReader *r, uint64_t at, size_t id_size, size_t name_size, Qcow2Snapshot *s)
{
    int error;
    const uint8_t *bytes = peek(r, at, id_size + name_size, &error);

    if (!bytes) {
        report_unreadable(r, at, id_size + name_size, error);
        return false;
    }
    s->id = g_strndup((const char *)bytes, id_size);
    s->name = g_strndup((const char *)bytes + id_size, name_size);
    return true;
}

/* True where the report says of faults of @kind that they are repaired: then they are corruptions, not failures. */
static bool repairing(const TableReader *r, ImageCheckFindingKind kind)
{
    return r->report->repairing & QCOW2_FINDING_BIT(kind);
}

/* Reports that the table ends before entry @i at @offset, which does not fit the limits any more. */
static void report_too_big(TableReader *r, uint32_t i, uint64_t offset)
{
    uint32_t left = r->header->nb_snapshots - i;
    Qcow2Finding finding = {QCOW2_FINDING_SNAPSHOT_TABLE_TOO_BIG, {left}, .location = entry_word(offset, 0)};

    if (repairing(r, finding.kind)) {
        qcow2_report_discarded(r->report, &finding, left,
                               "Discarding %" PRIu32 " overhanging snapshots (snapshot table is too big)\n", left);
        return;
    }
    qcow2_report(r->report, &finding);
    qcow2_report_failure(r->report, EFBIG);
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
    qcow2_report(r->report, &finding);
    qcow2_report_failure(r->report, EFBIG);
}

/* ---- entries whose length cannot be right ---- */

static Qcow2Snapshot from_disk(const Qcow2DiskSnapshot *d, uint64_t at)
{
    return (Qcow2Snapshot){
        .l1_table_offset = GUINT64_FROM_BE(d->l1_table_offset),
        .l1_size = GUINT32_FROM_BE(d->l1_size),
        .extra_data_size = GUINT32_FROM_BE(d->extra_data_size),
        .entry_offset = at,
        .id_size = GUINT16_FROM_BE(d->id_size),
        .name_size = GUINT16_FROM_BE(d->name_size),
    };
}

static bool parse_fixed(TableReader *r, uint64_t at, Qcow2Snapshot *s)
{
    Qcow2DiskSnapshot d;
    int error;
    const uint8_t *bytes = at + sizeof(d) <= r->source->length ? peek(r, at, sizeof(d), &error) : NULL;

    if (!bytes) {
        return false;
    }
    memcpy(&d, bytes, sizeof(d));
    *s = from_disk(&d, at);
    return true;
}

/* True where the @size bytes at @at are an ID: letters and digits, mostly a number. */
static bool is_id(TableReader *r, uint64_t at, uint16_t size)
{
    int error;
    const uint8_t *bytes = size && at + size <= r->source->length ? peek(r, at, size, &error) : NULL;

    for (uint16_t i = 0; bytes && i < size; i++) {
        if (!g_ascii_isgraph(bytes[i])) {
            return false;
        }
    }
    return bytes != NULL;
}

/* True where an entry with a place in the file, an L1 table in the file, and an ID is at @at. */
static bool is_entry(TableReader *r, uint64_t at)
{
    Qcow2Snapshot s;

    return parse_fixed(r, at, &s) && plausible(&s, r->header) && s.l1_table_offset < r->source->length &&
           is_id(r, at + sizeof(Qcow2DiskSnapshot) + s.extra_data_size, s.id_size);
}

/* Where the strings of @s begin if its extra data is @extra bytes, and it ends where the next entry begins at @next. */
static bool strings_fit(TableReader *r, Qcow2Snapshot *s, uint64_t extra, uint64_t next)
{
    uint64_t strings = s->entry_offset + sizeof(Qcow2DiskSnapshot) + extra;
    uint64_t end = strings + s->id_size + s->name_size;
    uint64_t aligned;

    if (!is_id(r, strings, s->id_size) || !align_up_u64(end, QCOW2_SNAPSHOT_ALIGNMENT, &aligned) ||
        (next ? aligned != next : end > r->source->length)) {
        return false;
    }
    s->strings = strings;
    s->extra_kept = (uint32_t)MIN(extra, QCOW2_MAX_SNAPSHOT_EXTRA);
    return true;
}

/*
 * Finds out where the strings of @s are, whose extra data is too large or damaged, and where the next entry begins:
 * *next, 0 where it cannot be found. False where the strings cannot be.
 */
static bool recover_entry(TableReader *r, Qcow2Snapshot *s, bool last, uint64_t *next)
{
    uint64_t least = s->entry_offset + sizeof(Qcow2DiskSnapshot) + s->id_size + s->name_size;
    uint64_t stored_end = least + s->extra_data_size;

    *next = 0;
    for (uint64_t at = (least + 7) / 8 * 8; !last && at <= least + QCOW2_MAX_SNAPSHOT_EXTRA + 8; at += 8) {
        if (is_entry(r, at)) {
            *next = at;
            break;
        }
    }
    if (!*next && !last && stored_end < r->source->length && is_entry(r, (stored_end + 7) / 8 * 8)) {
        *next = (stored_end + 7) / 8 * 8;
    }
    if ((*next || last) && strings_fit(r, s, s->extra_data_size, *next)) {
        return true;
    }
    /* extra data of today's entries, or whatever else is a multiple of 8 */
    for (uint64_t extra = 24; (*next || last) && extra <= QCOW2_MAX_SNAPSHOT_EXTRA; extra += 8) {
        if (strings_fit(r, s, extra, *next)) {
            return true;
        }
    }
    return (*next || last) && (strings_fit(r, s, 16, *next) || strings_fit(r, s, 0, *next));
}

/* ---- reading ---- */

static bool take_entry(TableReader *r, Qcow2Snapshot *s, uint64_t end)
{
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
    bool last = i + 1 >= MIN(r->header->nb_snapshots, QCOW2_MAX_SNAPSHOTS);
    uint64_t next;
    bool recovered = recover_entry(r, s, last, &next);

    r->unfinished = !next && !last;
    report_extra(r, i, s->entry_offset, s->extra_data_size);
    if (!recovered || !plausible_tree(s, r->header)) {
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
    Qcow2DiskSnapshot d;
    Qcow2Snapshot s;
    uint64_t start, end;

    if (!align_up_u64(r->at, QCOW2_SNAPSHOT_ALIGNMENT, &start) || !read_fixed(r, start, &d)) {
        r->unfinished = true;
        return false;
    }
    s = from_disk(&d, start);
    if (r->doubtful && !plausible(&s, r->header)) {
        return false;
    }
    if (s.extra_data_size > QCOW2_MAX_SNAPSHOT_EXTRA) {
        return read_oversized(r, i, &s);
    }
    s.strings = start + sizeof(d) + s.extra_data_size;
    s.extra_kept = s.extra_data_size;
    end = s.strings + s.id_size + s.name_size;
    r->length = (r->length + 7) / 8 * 8 + (end - start);
    if (r->length > QCOW2_MAX_SNAPSHOT_TABLE_BYTES || end - r->header->snapshots_offset > MAX_TABLE_SPAN) {
        if (!r->doubtful) {
            report_too_big(r, i, start);
        }
        return false;
    }
    if (!take_entry(r, &s, end)) {
        r->unfinished = true;
        return false;
    }
    return true;
}

static Qcow2Finding too_many_snapshots(const Qcow2HeaderFields *h)
{
    return (Qcow2Finding){QCOW2_FINDING_SNAPSHOTS_TOO_MANY,
                          {h->nb_snapshots - QCOW2_MAX_SNAPSHOTS},
                          .location = header_word(offsetof(Qcow2DiskHeader, nb_snapshots))};
}

/* docs/interop/check-behaviour.rst 3.1, item 1. Returns false if there is no table to read. */
static bool check_pointer(TableReader *r)
{
    const Qcow2HeaderFields *h = r->header;
    uint64_t end;

    if (h->nb_snapshots > QCOW2_MAX_SNAPSHOTS) {
        r->doubtful = true;
    }
    if (r->doubtful && !repairing(r, QCOW2_FINDING_SNAPSHOTS_TOO_MANY)) {
        Qcow2Finding finding = too_many_snapshots(h);

        qcow2_report(r->report, &finding);
        qcow2_report_failure(r->report, EFBIG);
    }
    if (h->snapshots_offset % h->cluster_size ||
        !add_u64(h->snapshots_offset, sizeof(Qcow2DiskSnapshot) * (uint64_t)h->nb_snapshots, &end) || end > INT64_MAX) {
        if (!r->doubtful || repairing(r, QCOW2_FINDING_SNAPSHOTS_TOO_MANY)) {
            qcow2_report(r->report,
                         &(Qcow2Finding){QCOW2_FINDING_SNAPSHOT_TABLE_UNALIGNED,
                                         .location = header_word(offsetof(Qcow2DiskHeader, snapshots_offset))});
            qcow2_report_failure(r->report, EINVAL);
        }
        r->unfinished = !r->doubtful;
        return false;
    }
    return h->nb_snapshots > 0;
}

/* Returns true if bytes in the clusters of the table, behind the last listed entry, have the form of an entry. */
static bool any_entry_behind(TableReader *r)
{
    const Qcow2HeaderFields *h = r->header;
    uint64_t start, end;

    return r->snapshots->items->len == h->nb_snapshots && !r->doubtful && !r->unfinished && h->snapshots_offset != 0 &&
           h->snapshots_offset % h->cluster_size == 0 && align_up_u64(r->at, QCOW2_SNAPSHOT_ALIGNMENT, &start) &&
           align_up_u64(MAX(r->at, h->snapshots_offset + 1), h->cluster_size, &end) &&
           start + sizeof(Qcow2DiskSnapshot) <= end && is_entry(r, start);
}

bool qcow2_snapshot_is_zeros(const Qcow2Snapshot *s)
{
    return !s->l1_table_offset && !s->l1_size && !s->id_size && !s->name_size;
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

void qcow2_read_snapshots(BlockSource *source, const Qcow2HeaderFields *h, Qcow2Snapshots *snapshots,
                          Qcow2Report *report)
{
    TableReader r = {
        .source = source,
        .header = h,
        .snapshots = snapshots,
        .report = report,
        .at = h->snapshots_offset,
    };
    uint32_t n = MIN(h->nb_snapshots, QCOW2_MAX_SNAPSHOTS);

    snapshots->items = g_array_new(FALSE, FALSE, sizeof(Qcow2Snapshot));
    snapshots->table_length = 0;
    snapshots->complete = snapshots->there = false;
    g_array_set_clear_func(snapshots->items, clear_snapshot);
    if (!check_pointer(&r) && (h->nb_snapshots || !h->snapshots_offset)) {
        return;
    }
    r.window = g_byte_array_new();
    for (uint32_t i = 0; i < n && read_entry(&r, i); i++) {
        continue;
    }
    if (repairing(&r, QCOW2_FINDING_SNAPSHOT_INCOMPLETE) && any_entry_behind(&r)) { /* it may be left as it is */
        report->repairing &= ~QCOW2_FINDING_BIT(QCOW2_FINDING_SNAPSHOT_INCOMPLETE);
    }
    g_byte_array_unref(r.window);
    snapshots->complete = n > 0 && !r.unfinished;
    if (h->nb_snapshots > QCOW2_MAX_SNAPSHOTS && repairing(&r, QCOW2_FINDING_SNAPSHOTS_TOO_MANY)) {
        uint32_t left = h->nb_snapshots - snapshots->items->len;
        Qcow2Finding finding = too_many_snapshots(h);

        qcow2_report_discarded(report, &finding, left, "Discarding %" PRIu32 " overhanging snapshots\n", left);
    }

    snapshots->there = is_there(snapshots, source->length);
    for (uint32_t i = 0; h->version >= 3 && i < snapshots->items->len; i++) {
        const Qcow2Snapshot *s = &g_array_index(snapshots->items, Qcow2Snapshot, i);

        if (s->extra_kept < QCOW2_V3_MIN_SNAPSHOT_EXTRA) {
            Qcow2Location location = entry_word(s->entry_offset, offsetof(Qcow2DiskSnapshot, extra_data_size));

            location.snapshot = s->name;
            qcow2_report(report, &(Qcow2Finding){QCOW2_FINDING_SNAPSHOT_INCOMPLETE, {i}, .location = location});
        }
    }
}

static bool was_read(const Qcow2Snapshots *snapshots, uint64_t at)
{
    size_t i = ARRAY_FIRST_NOT_BELOW(snapshots->items, Qcow2Snapshot, entry_offset, at);

    return i < snapshots->items->len && g_array_index(snapshots->items, Qcow2Snapshot, i).entry_offset == at;
}

GArray *qcow2_snapshots_unlisted(BlockSource *source, const Qcow2HeaderFields *h, const Qcow2Snapshots *snapshots)
{
    TableReader r = {.source = source, .header = h, .window = g_byte_array_new()};
    GArray *unlisted = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    uint64_t end = h->snapshots_offset + MIN(snapshots->table_length, QCOW2_MAX_SNAPSHOT_TABLE_BYTES);
    Qcow2Snapshot s;

    if (h->snapshots_offset == 0 || h->snapshots_offset >= source->length || h->snapshots_offset % h->cluster_size) {
        end = 0;
    } else if (snapshots->items->len == h->nb_snapshots) {
        align_up_u64(MAX(end, h->snapshots_offset + 1), h->cluster_size, &end); /* others are too many, and known */
    }
    for (uint64_t at = h->snapshots_offset; at < MIN(end, source->length); at += QCOW2_SNAPSHOT_ALIGNMENT) {
        if (is_entry(&r, at) && !was_read(snapshots, at) && parse_fixed(&r, at, &s)) {
            g_array_append_val(unlisted, s.l1_table_offset);
        }
    }
    g_byte_array_unref(r.window);
    return unlisted;
}

void qcow2_snapshots_clear(Qcow2Snapshots *snapshots)
{
    g_clear_pointer(&snapshots->items, g_array_unref);
}

bool qcow2_snapshot_l1_valid(const Qcow2Snapshot *s, const Qcow2HeaderFields *h)
{
    return s->l1_table_offset % h->cluster_size == 0 && s->l1_size <= QCOW2_MAX_L1_ENTRIES;
}
