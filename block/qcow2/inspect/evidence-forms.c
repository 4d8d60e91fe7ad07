/*
 * Whether bytes have the form of a table.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/qcow2/inspect/evidence-forms.h"

#include <string.h>

#include "block/qcow2/format/format.h"
#include "block/qcow2/load/l2-result.h"
#include "block/source.h"
#include "util/number.h"

#define LEAST_ZEROS          16 /* entries of a table that refers to nothing */
#define ALL_SUBCLUSTERS_ZERO UINT64_C(0xffffffff00000000)

bool qcow2_is_l2_of_zeros(const uint8_t *bytes, const Qcow2HeaderFields *h)
{
    unsigned size = qcow2_l2_entry_size(h), zeros = 0;

    for (uint64_t at = 0; at < h->cluster_size && zeros < LEAST_ZEROS; at += size) {
        uint64_t entry = load_be64(bytes + at);

        zeros += size == 16 ? !entry && load_be64(bytes + at + 8) == ALL_SUBCLUSTERS_ZERO : entry == QCOW2_OFLAG_ZERO;
    }
    return zeros >= LEAST_ZEROS;
}

#define NANOSECONDS 1000000000u /* in a second */

/* Cluster aligned, behind the header and within the file. */
static bool possible_offset(uint64_t offset, const Qcow2HeaderFields *h, uint64_t length)
{
    return offset % h->cluster_size == 0 && offset >= h->cluster_size && offset < length;
}

static bool possible_compressed(uint64_t entry, const Qcow2HeaderFields *h, uint64_t length)
{
    Qcow2Extent extent = qcow2_l2_compressed_extent(h, entry, 0);
    uint64_t end;

    return !(entry & QCOW2_OFLAG_COPIED) && extent.offset >= h->cluster_size &&
           add_u64(extent.offset, extent.length, &end) && end <= length + h->cluster_size;
}

/* The offsets of an external data file are those of another file, where cluster 0 has data too. */
static bool possible_in_data_file(uint64_t entry, const Qcow2HeaderFields *h)
{
    uint64_t offset = entry & QCOW2_OFFSET_MASK;

    return (entry & QCOW2_OFLAG_COPIED) && !(entry & QCOW2_OFLAG_COMPRESSED) && offset % h->cluster_size == 0 &&
           offset < BLOCK_SOURCE_MAX_LENGTH;
}

static bool possible_l2_entry(uint64_t entry, const Qcow2HeaderFields *h, uint64_t length)
{
    uint64_t offset = entry & QCOW2_OFFSET_MASK;

    if (entry & QCOW2_OFLAG_COMPRESSED) {
        return possible_compressed(entry, h, length) && !qcow2_has_data_file(h);
    }
    if ((entry & QCOW2_L2_RESERVED) || entry == QCOW2_OFLAG_COPIED) {
        return qcow2_has_data_file(h) && entry == QCOW2_OFLAG_COPIED;
    }
    if (!offset) {
        return true; /* a zero flag */
    }
    return qcow2_has_data_file(h) ? possible_in_data_file(entry, h) : possible_offset(offset, h, length);
}

static bool subclusters_contradict(uint64_t bitmap)
{
    return bitmap & bitmap >> QCOW2_SUBCLUSTERS & UINT32_MAX;
}

bool qcow2_may_be_l2(const uint8_t *bytes, size_t size, const Qcow2HeaderFields *h, uint64_t length)
{
    unsigned entry_size = qcow2_l2_entry_size(h);
    uint64_t most = qcow2_bearable_damage(size / entry_size);
    uint64_t sound = 0, damaged = 0;

    for (size_t at = 0; at < size && damaged <= most; at += entry_size) {
        uint64_t entry = load_be64(bytes + at);
        uint64_t bitmap = entry_size == 16 ? load_be64(bytes + at + 8) : 0;
        bool possible = possible_l2_entry(entry, h, length) && !subclusters_contradict(bitmap);

        sound += possible && (entry || bitmap);
        damaged += !possible;
    }
    return damaged <= qcow2_bearable_damage(sound);
}

bool qcow2_may_be_l1_entry(uint64_t word, const Qcow2HeaderFields *h, uint64_t length)
{
    return !(word & QCOW2_L1_RESERVED) && possible_offset(word & QCOW2_OFFSET_MASK, h, length);
}

bool qcow2_may_be_l1(const uint8_t *bytes, size_t size, const Qcow2HeaderFields *h, uint64_t length)
{
    uint64_t sound = 0, damaged = 0;

    for (size_t at = 0; at < size && damaged <= qcow2_bearable_damage(size / 8); at += 8) {
        uint64_t word = load_be64(bytes + at);
        bool possible = !word || qcow2_may_be_l1_entry(word, h, length);

        sound += possible && word;
        damaged += !possible;
    }
    return damaged <= qcow2_bearable_damage(sound);
}

static bool printable(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] < ' ') {
            return false;
        }
    }
    return true;
}

bool qcow2_may_be_snapshot_table(const uint8_t *bytes, size_t size, const Qcow2HeaderFields *h, uint64_t length)
{
    Qcow2DiskSnapshot d;
    uint32_t l1_size, extra;
    size_t strings, end;

    g_assert(size >= sizeof(d));
    memcpy(&d, bytes, sizeof(d));
    l1_size = GUINT32_FROM_BE(d.l1_size);
    extra = GUINT32_FROM_BE(d.extra_data_size);
    if (!possible_offset(GUINT64_FROM_BE(d.l1_table_offset), h, length) || !l1_size || l1_size > QCOW2_MAX_L1_ENTRIES ||
        extra > QCOW2_MAX_SNAPSHOT_EXTRA || !d.id_size || GUINT32_FROM_BE(d.date_nsec) >= NANOSECONDS) {
        return false;
    }
    strings = sizeof(d) + extra;
    end = strings + GUINT16_FROM_BE(d.id_size) + GUINT16_FROM_BE(d.name_size);
    return strings >= size || printable(bytes + strings, MIN(end, size) - strings);
}

uint64_t qcow2_snapshot_entry_length(const uint8_t *bytes)
{
    Qcow2DiskSnapshot d;
    uint64_t length;

    memcpy(&d, bytes, sizeof(d));
    length = sizeof(d) + (uint64_t)GUINT32_FROM_BE(d.extra_data_size) + GUINT16_FROM_BE(d.id_size) +
             GUINT16_FROM_BE(d.name_size);
    return DIV_ROUND_UP(length, QCOW2_SNAPSHOT_ALIGNMENT) * QCOW2_SNAPSHOT_ALIGNMENT;
}
