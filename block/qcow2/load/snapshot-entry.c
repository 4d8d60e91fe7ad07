/*
 * One entry of the snapshot table.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/load/snapshot-entry.h"

#include <errno.h>
#include <string.h>

#include "block/qcow2/format/entries.h"
#include "block/qcow2/format/format.h"
#include "util/number.h"

#define READ_AHEAD      16384 /* bytes; entries are small, and most tables have few */
#define DISK_SIZE_AT    8     /* of the extra data */
#define SECOND_IN_NSECS 1000000000

void snapshot_reader_clear(SnapshotReader *r)
{
    g_clear_pointer(&r->window, g_byte_array_unref);
}

const uint8_t *snapshot_peek(SnapshotReader *r, uint64_t offset, size_t size, int *error)
{
    bool inside;

    r->window = r->window ? r->window : g_byte_array_new();
    inside = offset >= r->window_offset && offset - r->window_offset + size <= r->window->len;
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
            r->failed = true;
            return NULL;
        }
    }
    return r->window->data + (offset - r->window_offset);
}

int snapshot_read_fixed(SnapshotReader *r, uint64_t at, Qcow2Snapshot *s)
{
    Qcow2SnapshotFields d;
    int error = 0;
    const uint8_t *bytes = snapshot_peek(r, at, sizeof(Qcow2DiskSnapshot), &error);

    if (!bytes) {
        return error ? error : EIO;
    }
    d = qcow2_decode_snapshot(bytes);
    *s = (Qcow2Snapshot){
        .l1_table_offset = d.l1_table_offset,
        .l1_size = d.l1_size,
        .extra_data_size = d.extra_data_size,
        .date_sec = d.date_sec,
        .entry_offset = at,
        .id_size = d.id_size,
        .name_size = d.name_size,
    };
    return 0;
}

bool snapshot_parse(SnapshotReader *r, uint64_t at, Qcow2Snapshot *s)
{
    return at + sizeof(Qcow2DiskSnapshot) <= r->source->length && snapshot_read_fixed(r, at, s) == 0;
}

/* Returns true if the @size bytes at @at are an ID: letters and digits, mostly a number. */
static bool is_id(SnapshotReader *r, uint64_t at, uint16_t size)
{
    int error;
    const uint8_t *bytes = size && at + size <= r->source->length ? snapshot_peek(r, at, size, &error) : NULL;

    for (uint16_t i = 0; bytes && i < size; i++) {
        if (!g_ascii_isgraph(bytes[i])) {
            return false;
        }
    }
    return bytes != NULL;
}

bool snapshot_has_id(SnapshotReader *r, const Qcow2Snapshot *s)
{
    return is_id(r, s->entry_offset + sizeof(Qcow2DiskSnapshot) + s->extra_data_size, s->id_size);
}

/* ---- what an entry refers to ---- */

bool qcow2_snapshot_l1_valid(const Qcow2Snapshot *s, const Qcow2HeaderFields *h)
{
    return s->l1_table_offset % h->cluster_size == 0 && s->l1_size <= QCOW2_MAX_L1_ENTRIES;
}

bool snapshot_has_tree(const SnapshotReader *r, const Qcow2Snapshot *s)
{
    return s->l1_table_offset && qcow2_snapshot_l1_valid(s, r->header);
}

bool snapshot_has_no_tree(const Qcow2Snapshot *s)
{
    return !s->l1_table_offset && !s->l1_size;
}

bool qcow2_snapshot_is_zeros(const Qcow2Snapshot *s)
{
    return snapshot_has_no_tree(s) && !s->id_size && !s->name_size;
}

/* The size of its disk; that of the image where the entry does not have it. */
static uint64_t disk_size(SnapshotReader *r, const Qcow2Snapshot *s)
{
    uint64_t at = s->entry_offset + sizeof(Qcow2DiskSnapshot) + DISK_SIZE_AT;
    int error;
    const uint8_t *bytes =
        s->extra_data_size >= DISK_SIZE_AT + sizeof(uint64_t) ? snapshot_peek(r, at, sizeof(uint64_t), &error) : NULL;

    return bytes ? load_be64(bytes) : r->header->size;
}

bool snapshot_lost_tree(SnapshotReader *r, const Qcow2Snapshot *s)
{
    return !s->l1_table_offset && (s->l1_size || disk_size(r, s));
}

/* Returns true if its time has a number of nanoseconds: zeros and what follows them are seldom an entry without a tree.
 */
static bool has_time(SnapshotReader *r, const Qcow2Snapshot *s)
{
    int error;
    const uint8_t *bytes = snapshot_peek(r, s->entry_offset, sizeof(Qcow2DiskSnapshot), &error);

    return bytes && qcow2_decode_snapshot(bytes).date_nsec < SECOND_IN_NSECS;
}

bool snapshot_is_entry(SnapshotReader *r, uint64_t at)
{
    Qcow2Snapshot s;

    return snapshot_parse(r, at, &s) && s.extra_data_size <= QCOW2_MAX_SNAPSHOT_EXTRA && snapshot_has_id(r, &s) &&
           ((snapshot_has_tree(r, &s) && s.l1_table_offset < r->source->length) ||
            (snapshot_has_no_tree(&s) && has_time(r, &s)));
}

/* ---- entries whose length cannot be right ---- */

/* Where the strings of @s begin if its extra data is @extra bytes, and it ends where the next entry begins at @next. */
static bool strings_fit(SnapshotReader *r, Qcow2Snapshot *s, uint64_t extra, uint64_t next)
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

bool snapshot_recover(SnapshotReader *r, Qcow2Snapshot *s, bool last, uint64_t *next)
{
    uint64_t least = s->entry_offset + sizeof(Qcow2DiskSnapshot) + s->id_size + s->name_size;
    uint64_t stored_end = least + s->extra_data_size;

    *next = 0;
    for (uint64_t at = (least + 7) / 8 * 8; !last && at <= least + QCOW2_MAX_SNAPSHOT_EXTRA + 8; at += 8) {
        if (snapshot_is_entry(r, at)) {
            *next = at;
            break;
        }
    }
    if (!*next && !last && stored_end < r->source->length && snapshot_is_entry(r, (stored_end + 7) / 8 * 8)) {
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
