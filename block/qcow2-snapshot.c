/*
 * The snapshot table.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2-snapshot.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "block/qcow2-format.h"
#include "util/number.h"

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
} TableReader;

/* The @size bytes at @offset of the file; NULL and *error set (negative errno value) when they cannot be read. */
static const uint8_t *peek(TableReader *r, uint64_t offset, size_t size, int *error)
{
    bool inside = offset >= r->window_offset && offset - r->window_offset + size <= r->window->len;

    if (!inside) {
        g_byte_array_set_size(r->window, MAX(size, READ_AHEAD));
        r->window_offset = offset;
        *error = block_source_read(r->source, r->window->data, r->window->len, offset);
        if (*error && size < r->window->len) {
            /* what was read ahead need not be the table's */
            g_byte_array_set_size(r->window, size);
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
static Qcow2Place entry_word(uint64_t entry, size_t field)
{
    return qcow2_place(IMAGE_CHECK_STRUCTURE_SNAPSHOT_TABLE, entry + field, entry, sizeof(Qcow2DiskSnapshot));
}

/* A word of the header, @field bytes into it, which is about the table. */
static Qcow2Place header_word(size_t field)
{
    return qcow2_place(IMAGE_CHECK_STRUCTURE_HEADER, field, 0, 0);
}

/* Reports that @size bytes of the table at @offset cannot be read. */
static void report_unreadable(TableReader *r, uint64_t offset, uint64_t size, int error)
{
    qcow2_report(r->report,
                 &(Qcow2Finding){.kind = QCOW2_FINDING_SNAPSHOT_TABLE_UNREADABLE,
                                 .texts = {g_strerror(-error)},
                                 .place = qcow2_place_range(IMAGE_CHECK_STRUCTURE_SNAPSHOT_TABLE, offset, size)});
    qcow2_report_failure(r->report, -error);
}

static bool plausible(const Qcow2Snapshot *s, const Qcow2HeaderFields *h)
{
    return s->l1_table_offset && qcow2_snapshot_l1_valid(s, h) && s->extra_data_size <= QCOW2_MAX_SNAPSHOT_EXTRA;
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

/* Reports that the table ends before entry @i at @offset, which does not fit the limits any more. */
static void report_too_big(TableReader *r, uint32_t i, uint64_t offset)
{
    qcow2_report(r->report, &(Qcow2Finding){QCOW2_FINDING_SNAPSHOT_TABLE_TOO_BIG,
                                            {r->header->nb_snapshots - i},
                                            .place = entry_word(offset, 0)});
    qcow2_report_failure(r->report, EFBIG);
}

/* Reads entry @i at r->at; false when nothing behind it can be read. */
static bool read_entry(TableReader *r, uint32_t i)
{
    Qcow2DiskSnapshot d;
    Qcow2Snapshot s = {0};
    uint64_t start, strings, end, kept;

    if (!align_up_u64(r->at, QCOW2_SNAPSHOT_ALIGNMENT, &start) || !read_fixed(r, start, &d)) {
        return false;
    }
    s.entry_offset = start;
    s.l1_table_offset = GUINT64_FROM_BE(d.l1_table_offset);
    s.l1_size = GUINT32_FROM_BE(d.l1_size);
    s.extra_data_size = GUINT32_FROM_BE(d.extra_data_size);
    if (r->doubtful && !plausible(&s, r->header)) {
        return false;
    }
    if (s.extra_data_size > QCOW2_MAX_SNAPSHOT_EXTRA) {
        qcow2_report(r->report,
                     &(Qcow2Finding){QCOW2_FINDING_SNAPSHOT_EXTRA_TOO_LARGE,
                                     {i},
                                     .place = entry_word(start, offsetof(Qcow2DiskSnapshot, extra_data_size))});
        qcow2_report_failure(r->report, EFBIG);
        r->doubtful = true;
    }

    strings = start + sizeof(d) + s.extra_data_size;
    end = strings + GUINT16_FROM_BE(d.id_size) + GUINT16_FROM_BE(d.name_size);
    kept = end - start - s.extra_data_size + MIN(s.extra_data_size, QCOW2_MAX_SNAPSHOT_EXTRA);
    r->length = (r->length + 7) / 8 * 8 + kept;
    if (r->length > QCOW2_MAX_SNAPSHOT_TABLE_BYTES || end - r->header->snapshots_offset > MAX_TABLE_SPAN) {
        if (!r->doubtful) {
            report_too_big(r, i, start);
        }
        return false;
    }
    if (s.extra_data_size > QCOW2_MAX_SNAPSHOT_EXTRA && end > r->source->length) {
        return false; /* nothing behind the fixed part makes sense */
    }
    if (!read_strings(r, strings, GUINT16_FROM_BE(d.id_size), GUINT16_FROM_BE(d.name_size), &s)) {
        return false;
    }
    g_array_append_val(r->snapshots->items, s);
    r->at = end;
    r->snapshots->table_length = end - r->header->snapshots_offset;
    return true;
}

/* Spec check-behaviour 3.1, step 3. False when there is no table to be read. */
static bool check_pointer(TableReader *r)
{
    const Qcow2HeaderFields *h = r->header;
    uint64_t end;

    if (h->nb_snapshots > QCOW2_MAX_SNAPSHOTS) {
        qcow2_report(r->report, &(Qcow2Finding){QCOW2_FINDING_SNAPSHOTS_TOO_MANY,
                                                {h->nb_snapshots - QCOW2_MAX_SNAPSHOTS},
                                                .place = header_word(offsetof(Qcow2DiskHeader, nb_snapshots))});
        qcow2_report_failure(r->report, EFBIG);
        r->doubtful = true;
    }
    if (h->snapshots_offset % h->cluster_size ||
        !add_u64(h->snapshots_offset, sizeof(Qcow2DiskSnapshot) * (uint64_t)h->nb_snapshots, &end) || end > INT64_MAX) {
        if (!r->doubtful) {
            qcow2_report(r->report, &(Qcow2Finding){QCOW2_FINDING_SNAPSHOT_TABLE_UNALIGNED,
                                                    .place = header_word(offsetof(Qcow2DiskHeader, snapshots_offset))});
            qcow2_report_failure(r->report, EINVAL);
        }
        return false;
    }
    return h->nb_snapshots > 0;
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
    g_array_set_clear_func(snapshots->items, clear_snapshot);
    if (!check_pointer(&r)) {
        return;
    }
    r.window = g_byte_array_new();
    for (uint32_t i = 0; i < n && read_entry(&r, i); i++) {
        continue;
    }
    g_byte_array_unref(r.window);

    for (uint32_t i = 0; h->version >= 3 && i < snapshots->items->len; i++) {
        const Qcow2Snapshot *s = &g_array_index(snapshots->items, Qcow2Snapshot, i);

        if (s->extra_data_size < QCOW2_V3_MIN_SNAPSHOT_EXTRA) {
            Qcow2Place place = entry_word(s->entry_offset, offsetof(Qcow2DiskSnapshot, extra_data_size));

            place.snapshot = s->name;
            qcow2_report(report, &(Qcow2Finding){QCOW2_FINDING_SNAPSHOT_INCOMPLETE, {i}, .place = place});
        }
    }
}

void qcow2_snapshots_clear(Qcow2Snapshots *snapshots)
{
    g_clear_pointer(&snapshots->items, g_array_unref);
}

bool qcow2_snapshot_l1_valid(const Qcow2Snapshot *s, const Qcow2HeaderFields *h)
{
    return s->l1_table_offset % h->cluster_size == 0 && s->l1_size <= QCOW2_MAX_L1_ENTRIES;
}
