/*
 * Gives up entries of the guest's disk: they read as zeros.
 *
 * What they referred to leaks then, and is freed by a repair, or found by it to be lost data.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/repair/request.h"

#include <inttypes.h>

#include "block/qcow2/format/format.h"
#include "util/number.h"
#include "util/search.h"

#define ALL_SUBCLUSTERS_ZERO UINT64_C(0xffffffff00000000)

/* Without a zero flag, as in version 2, an entry of zeros shows what the backing file has. */
static bool can_be_zeros(const Restore *r)
{
    return r->in->header->version >= 3 || !r->in->header->backing_file_offset;
}

/* Sets the entries [@first, @end) of a table. */
static void add_edit(Restore *r, uint64_t table, uint64_t first, uint64_t end)
{
    size_t size = qcow2_l2_entry_size(r->in->header);
    Edit edit = {
        .offset = table + first * size,
        .size = (end - first) * size,
        .structure = IMAGE_CHECK_STRUCTURE_L2,
        .why = QCOW2_FINDING__MAX,
        .count = end - first,
        .what = "read as zeros",
    };

    edit.bytes = g_malloc0(edit.size);
    for (uint64_t at = 0; at < edit.size; at += size) {
        if (size == 16) {
            store_be64(edit.bytes + at + 8, ALL_SUBCLUSTERS_ZERO);
        } else if (r->in->header->version >= 3) {
            store_be64(edit.bytes + at, QCOW2_OFLAG_ZERO);
        }
    }
    edits_add(r->edits, EDIT_PHASE_SWITCH, &edit);
}

static bool read_slot(const Restore *r, uint64_t slot, uint64_t *word)
{
    uint8_t bytes[8];

    if (block_source_read(r->in->image->source, bytes, sizeof(bytes), slot)) {
        return request_refuse(r->errp, "There was an error of reading the L1 entry at 0x%" PRIx64, slot);
    }
    *word = load_be64(bytes);
    return true;
}

/* Entries [@first, @end) of the table of L1 entry @index. */
static bool zero_part(Restore *r, uint64_t index, uint64_t first, uint64_t end)
{
    uint64_t slot = r->in->header->l1_table_offset + index * 8, word = 0, table;

    if (index < r->in->header->l1_size && !read_slot(r, slot, &word)) {
        return false;
    }
    table = word & QCOW2_OFFSET_MASK;
    if (!word) {
        return !r->in->header->backing_file_offset ||
               request_refuse(r->errp, "L1 entry %" PRIu64 " has no table: the backing file is read there", index);
    }
    if (restore_is_missing(r->in, word)) {
        return request_refuse(r->errp, "L1 entry %" PRIu64 " refers to no table that can be written to", index);
    }
    if (!layout_table_writable(r->layout, table, 1) ||
        layout_overlapped(r->layout, table >> r->in->header->cluster_bits, 1) ||
        layout_read_by_guest(r->layout, table >> r->in->header->cluster_bits)) {
        return request_refuse(r->errp, "The L2 table at 0x%" PRIx64 " is also that of a snapshot, or something else",
                              table);
    }
    add_edit(r, table, first, end);
    return true;
}

bool request_zero(Restore *r)
{
    const Qcow2Request *q = r->in->options->request;
    const Qcow2HeaderFields *h = r->in->header;
    uint64_t disk = DIV_ROUND_UP(h->size, h->cluster_size), at = q->offset >> h->cluster_bits, end;
    uint64_t in_table = UINT64_C(1) << h->l2_bits;
    bool to_end = q->length <= h->size && q->offset == h->size - q->length;

    if (q->offset % h->cluster_size || (q->length % h->cluster_size && !to_end) || !q->length) {
        return request_refuse(r->errp, "Offset and length must be multiples of the cluster size, %" PRIu64 " bytes",
                              h->cluster_size);
    }
    end = DIV_ROUND_UP(q->length, h->cluster_size);
    if (at > disk || end > disk - at) {
        return request_refuse(r->errp, "The disk ends at 0x%" PRIx64, h->size);
    }
    if (qcow2_has_data_file(h) && (h->autoclear_features & QCOW2_AUTOCLEAR_DATA_FILE_RAW)) {
        return request_refuse(r->errp, "The external data file is raw: it is the guest's disk, and an entry of zeros "
                                       "would not read as it does");
    }
    if (!can_be_zeros(r)) {
        return request_refuse(r->errp, "In version 2 of the format, an entry cannot hide what is in a backing file");
    }
    for (end += at; at < end;) {
        uint64_t next = MIN(end, (at / in_table + 1) * in_table);

        if (!zero_part(r, at / in_table, at % in_table, (next - 1) % in_table + 1)) {
            return false;
        }
        at = next;
    }
    return true;
}
